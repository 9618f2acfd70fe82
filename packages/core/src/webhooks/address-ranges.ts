// Which IP addresses belong to the public internet; webhooks go to no others.
import net from 'node:net'
import ipaddr from 'ipaddr.js'

const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3')

/**
 * Whether an address, in its plain notation, is public unicast. Of IPv4 that excludes the special ranges (private,
 * loopback, link-local, CGNAT, multicast, reserved …). Of IPv6 it is the allocated 2000::/3 without its special ranges.
 *
 * The library's `unicast` is not enough for IPv6: it means "in no known range", which includes `::7f00:1`, and some
 * stacks read that as 127.0.0.1. Mapped, NAT64 and 6to4 addresses carry an IPv4 address that routers unwrap. They are
 * always refused; no honest name resolves to one.
 */
export function isPublicAddress(address: string): boolean {
  // The library also accepts `127.1` and `0x7f.1`, which a socket never reports. A public address has no zone.
  if (net.isIP(address) === 0 || address.includes('%')) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  return parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_UNICAST)
}
