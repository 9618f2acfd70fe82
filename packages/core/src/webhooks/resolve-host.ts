// From a host's name to all its addresses, without dns.lookup: that one holds a thread of Node's pool of four for as
// long as a name server keeps silent, so that four dead names stop all look-ups and all file reads (20 s were measured).
// c-ares works on sockets: a look-up that hangs costs a timer.
import { Resolver } from 'node:dns'
import { readFileSync, statSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'

const LOOPBACK = ['127.0.0.1', '::1']
// A burst for one host asks once a second, not once a delivery. A kept-alive connection outlives this, and connections
// are pinned to addresses that were vetted, so that nothing rests on the answer being newer.
const REUSE_MS = 1000
const isWindows = process.platform === 'win32'
const HOSTS_FILE = isWindows
  ? path.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', 'drivers', 'etc', 'hosts')
  : '/etc/hosts'
const SERVERS_FILE = '/etc/resolv.conf'

export interface HostResolver {
  /** Every address of a host (a name or an IP literal, bracketed or not), IPv4 first. Throws a ResolveError. */
  resolve(host: string): Promise<string[]>
}

/** Why a name has no addresses: it has none, nobody answered in time, or the name server couldn't or wouldn't say. */
export class ResolveError extends Error {
  readonly reason: 'not_found' | 'timeout' | 'failed'
  constructor(reason: 'not_found' | 'timeout' | 'failed', message: string) {
    super(message)
    this.reason = reason
  }
}

/**
 * `servers` are `address[:port]` (default: the system's); a look-up, both families and all tries together, ends within
 * `timeoutMs`. The hosts file comes first and is read again when it changed; search domains are not applied. One look-up
 * is in flight for a host, whoever else asks shares it, and its answer (never a failure) serves for `reuseMs` more.
 */
export function createResolver({
  servers,
  timeoutMs,
  hostsFile = HOSTS_FILE,
  reuseMs = REUSE_MS,
}: {
  servers?: string[]
  timeoutMs: number
  hostsFile?: string
  reuseMs?: number
}): HostResolver {
  const flights = new Map<string, Promise<string[]>>()
  const hosts = whenChanged(hostsFile, () => parseHosts(readFileSync(hostsFile, 'utf8')))
  // A laptop that changes networks gets other name servers; a channel of c-ares keeps those it began with.
  const channel = whenChanged(servers === undefined ? SERVERS_FILE : undefined, () => {
    // Each server in turn, twice, the second time for twice as long: together they are the whole time.
    const asked = servers ?? new Resolver().getServers()
    const timeout = Math.max(1, Math.floor(timeoutMs / (3 * Math.max(1, asked.length))))
    const resolver = new Resolver({ timeout, tries: 2 })
    if (servers !== undefined) resolver.setServers(servers)
    return resolver
  })

  async function resolve(host: string): Promise<string[]> {
    const literal = host.replace(/^\[(.*)\]$/, '$1')
    if (net.isIP(literal) !== 0) return [literal]
    const name = host.toLowerCase().replace(/\.$/, '')
    if (name === 'localhost' || name.endsWith('.localhost')) return LOOPBACK
    const flight = flights.get(name)
    if (flight) return flight
    const begun = lookUp(name)
    flights.set(name, begun)
    begun.then(
      () => setTimeout(() => flights.delete(name), reuseMs).unref(),
      () => flights.delete(name),
    )
    return begun
  }

  async function lookUp(name: string): Promise<string[]> {
    const listed = hosts()?.get(name)
    if (listed) return listed
    const settled = await Promise.allSettled([
      within(timeoutMs, (done) => channel()!.resolve4(name, done)),
      within(timeoutMs, (done) => channel()!.resolve6(name, done)),
    ])
    const addresses = settled.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    // One family's silence doesn't take the other's addresses away: only addresses that are known get connections.
    if (addresses.length > 0) return [...new Set(addresses)]
    throw worst(settled.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : [])))
  }

  return { resolve }
}

/** One question's answer. c-ares has a clock of its own, which adds up tries and servers; ours has the last word. */
function within(
  timeoutMs: number,
  ask: (done: (error: Error | null, addresses: string[]) => void) => void,
): Promise<string[]> {
  return new Promise((fulfil, reject) => {
    const timer = setTimeout(() => reject(Object.assign(new Error('late'), { code: 'ETIMEOUT' })), timeoutMs)
    ask((error, addresses) => {
      clearTimeout(timer)
      if (error) reject(error)
      else fulfil(addresses)
    })
  })
}

/** The name doesn't exist only if nobody failed to say so. */
function worst(errors: NodeJS.ErrnoException[]): ResolveError {
  const codes = errors.map((error) => error.code ?? 'unknown')
  const isFinal = (code: string) => code === 'ENOTFOUND' || code === 'ENODATA' || code === 'EBADNAME'
  if (codes.every(isFinal)) return new ResolveError('not_found', 'the host name has no address')
  if (codes.includes('ETIMEOUT')) return new ResolveError('timeout', 'no name server answered in time')
  return new ResolveError('failed', `the name server failed (${codes.find((code) => !isFinal(code))})`)
}

/**
 * Makes a value anew whenever its file changed, and says undefined when that fails. The file is looked at synchronously:
 * a microsecond, where an asynchronous look would wait in the very thread pool that this module keeps out of.
 */
function whenChanged<T>(file: string | undefined, make: () => T): () => T | undefined {
  let version: string | undefined
  let value: T | undefined
  return () => {
    const stat = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false })
    const current = `${stat?.ino} ${stat?.size} ${stat?.mtimeMs}`
    if (current !== version) {
      version = current
      try {
        value = make()
      } catch {
        value = undefined
      }
    }
    return value
  }
}

/** The addresses of each name in a hosts file, in its order. */
function parseHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (net.isIP(address) === 0) continue
    for (const name of names.map((each) => each.toLowerCase())) {
      const addresses = hosts.get(name) ?? []
      if (!addresses.includes(address)) hosts.set(name, [...addresses, address])
    }
  }
  return hosts
}
