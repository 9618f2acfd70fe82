// Resolves a host name to all its addresses with c-ares, so that a hanging name server delays no other lookup.
//
// dns.lookup would hold one of four threads in Node's pool while a name server is silent. Four such names then stop all
// lookups and all file reads, for 20 s as measured. With c-ares, which works on sockets, they cost only timers.
import { Resolver } from 'node:dns'
import { readFileSync, statSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { withTimeout } from '../platform/with-timeout.ts'

const LOOPBACK = ['127.0.0.1', '::1']
// A burst to one host resolves it once a second, not once a delivery. Connections are pinned to checked addresses and
// live longer than this, so reuse weakens no check.
const REUSE_MS = 1000
const isWindows = process.platform === 'win32'
const HOSTS_FILE = isWindows
  ? path.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', 'drivers', 'etc', 'hosts')
  : '/etc/hosts'
const SERVERS_FILE = '/etc/resolv.conf'

export interface HostResolver {
  /** All addresses of a host (a name or an IP literal, bracketed or not), IPv4 first. @throws ResolveError */
  resolve(host: string): Promise<string[]>
}

/** Why a name did not resolve: it has no address, no name server responded in time, or a name server failed. */
export class ResolveError extends Error {
  readonly reason: 'not_found' | 'timeout' | 'failed'
  constructor(reason: 'not_found' | 'timeout' | 'failed', message: string) {
    super(message)
    this.reason = reason
  }
}

/**
 * `servers` are `address[:port]` (default: the system's). A lookup, with both families and all tries, ends within
 * `timeoutMs`. The hosts file comes first and is read again when it changes; search domains are not applied. Lookups are
 * single-flight: concurrent callers share one for each host. Its result, but no error, is reused for `reuseMs`.
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
  const hosts = reloadOnChange(hostsFile, () => parseHosts(readFileSync(hostsFile, 'utf8')))
  // A laptop that changes networks gets other name servers, but a c-ares channel keeps its first ones.
  const channel = reloadOnChange(servers === undefined ? SERVERS_FILE : undefined, () => {
    // Two tries for each server, the second twice as long as the first: together they fill the time limit.
    const { length } = servers ?? new Resolver().getServers()
    const timeout = Math.max(1, Math.floor(timeoutMs / (3 * Math.max(1, length))))
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
    const started = lookUp(name)
    flights.set(name, started)
    started.then(
      () => setTimeout(() => flights.delete(name), reuseMs).unref(),
      () => flights.delete(name),
    )
    return started
  }

  async function lookUp(name: string): Promise<string[]> {
    const listed = hosts()?.get(name)
    if (listed) return listed
    const settled = await Promise.allSettled([
      query(timeoutMs, (done) => channel()!.resolve4(name, done)),
      query(timeoutMs, (done) => channel()!.resolve6(name, done)),
    ])
    const addresses = settled.flatMap((family) => (family.status === 'fulfilled' ? family.value : []))
    // One family is enough: connections go to known addresses only.
    if (addresses.length > 0) return [...new Set(addresses)]
    throw resolveErrorOf(settled.flatMap((family) => (family.status === 'rejected' ? [family.reason] : [])))
  }

  return { resolve }
}

/** One query. c-ares adds up the times of its tries and servers, so the limit on the whole is ours. */
function query(
  timeoutMs: number,
  send: (done: (error: Error | null, addresses: string[]) => void) => void,
): Promise<string[]> {
  const response = new Promise<string[]>((fulfil, reject) => {
    send((error, addresses) => (error ? reject(error) : fulfil(addresses)))
  })
  return withTimeout(timeoutMs, response, (timeout) => Object.assign(timeout, { code: 'ETIMEOUT' }))
}

/** `not_found` only if every query says so: a failed query leaves it open whether the name has an address. */
function resolveErrorOf(errors: NodeJS.ErrnoException[]): ResolveError {
  const codes = errors.map((error) => error.code ?? 'unknown')
  const isFinal = (code: string) => code === 'ENOTFOUND' || code === 'ENODATA' || code === 'EBADNAME'
  if (codes.every(isFinal)) return new ResolveError('not_found', 'the host name has no address')
  if (codes.includes('ETIMEOUT')) return new ResolveError('timeout', 'no name server responded in time')
  return new ResolveError('failed', `the name server failed (${codes.find((code) => !isFinal(code))})`)
}

/**
 * Makes a value again when its file changes; undefined when that fails. It reads the file's state synchronously, which
 * takes a microsecond: an asynchronous call would wait in the thread pool that this module avoids.
 */
function reloadOnChange<T>(file: string | undefined, make: () => T): () => T | undefined {
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

/** The addresses of each name in a hosts file, in the file's order. */
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
