// Which addresses are the public internet's. Everything else is ours, our host's or nobody's, and no webhook goes there.
import net from 'node:net'
import ipaddr from 'ipaddr.js'

const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3')

/**
 * Whether an address, in its plain notation, is public unicast: IPv4 less the special ranges (private, loopback,
 * link-local, CGNAT, multicast, reserved …), and of IPv6 2000::/3, all that was ever allocated, less its special ranges.
 *
 * The library's `unicast` is not enough for IPv6: it means "in no range I know", and so takes `::7f00:1`, which some
 * stacks take for 127.0.0.1. Mapped, NAT64 and 6to4 addresses carry an IPv4 address that others unwrap; they are refused
 * unseen, for no honest name resolves to one.
 */
export function isPublicAddress(address: string): boolean {
  // The library also reads `127.1` and `0x7f.1`; a socket's address is never written so. Nor has a public one a zone.
  if (net.isIP(address) === 0 || address.includes('%')) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  return parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_UNICAST)
}
