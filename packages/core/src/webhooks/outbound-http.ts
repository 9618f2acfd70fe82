// The only door out: one POST to an address that somebody else chose. It goes nowhere it shouldn't, takes no longer than
// its deadline, believes nothing that comes back, and always says in one value what happened.
import type { IncomingHttpHeaders } from 'node:http'
import net from 'node:net'
import { buildConnector, Client, type Dispatcher } from 'undici'
import { SluiceError } from '../platform/errors.ts'
import { isPublicAddress } from './address-ranges.ts'
import { explain, Failure, type OutboundResult } from './outcome.ts'
import { createResolver, type HostResolver, ResolveError } from './resolve-host.ts'

const DEADLINE_MS = 5_000
const LOOK_UP_MS_MAX = 2_500
const RESPONSE_BYTES_MAX = 64 * 1024
const RESPONSE_HEADER_BYTES_MAX = 16 * 1024
const URL_CHARACTERS_MAX = 2048
const ADDRESSES_TRIED_MAX = 8
// When a name has several addresses, one is given so long before the next is tried.
const ADDRESS_TRY_MS = 500
// An idle connection is worth little after this, and the longer it is kept, the likelier the receiver just closed it.
const IDLE_MS_MAX = 1_500
const CONNECTS_MAX = 2
const BLOCKED = 'must have a host with public addresses only'

interface OutboundRequest {
  headers: Record<string, string>
  body: string | Buffer
}

export interface Outbound {
  /** Sends one POST, at most once, and never throws. All of it, the look-up included, ends by the deadline. */
  post(url: string, request: OutboundRequest): Promise<OutboundResult>
  /** What is wrong with a URL by its looks; undefined when nothing is. */
  urlProblem(url: string): string | undefined
  /** That, or what is wrong with the addresses that its host has at present. @throws SERVICE_UNAVAILABLE when nobody knows these */
  addressProblem(url: string): Promise<string | undefined>
  /** Drops idle connections and waits for the posts under way. */
  close(): Promise<void>
}

/** `allowPrivate` lets it post to any address; `ca` (PEM) is trusted instead of the usual certificate authorities. */
export function createOutbound({
  allowPrivate,
  deadlineMs = DEADLINE_MS,
  resolver = createResolver({ timeoutMs: Math.min(LOOK_UP_MS_MAX, deadlineMs) }),
  ca,
}: {
  allowPrivate: boolean
  deadlineMs?: number
  resolver?: HostResolver
  ca?: string
}): Outbound {
  const lines = createLines(ca)
  const underWay = new Set<Promise<OutboundResult>>()

  function urlProblem(url: string): string | undefined {
    const problem = syntaxProblem(url)
    if (problem !== undefined || allowPrivate) return problem
    const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
    return net.isIP(host) !== 0 && !isPublicAddress(host) ? BLOCKED : undefined
  }

  async function addressProblem(url: string): Promise<string | undefined> {
    const problem = urlProblem(url)
    if (problem !== undefined || allowPrivate) return problem
    try {
      const addresses = await resolver.resolve(new URL(url).hostname)
      return addresses.every(isPublicAddress) ? undefined : BLOCKED
    } catch (error) {
      if (error instanceof ResolveError && error.reason === 'not_found')
        return 'must have a host that has an address'
      const why = error instanceof ResolveError ? error.message : 'the look-up failed'
      throw new SluiceError(
        'SERVICE_UNAVAILABLE',
        `The host of the URL could not be looked up, ${why}; try again`,
      )
    }
  }

  /** Every address of a host; a Failure if a single one isn't public, for a name that mixes them is up to something. */
  async function vettedAddresses(host: string): Promise<string[]> {
    const addresses = await resolver.resolve(host).catch((error: unknown) => {
      throw new Failure('dns', error instanceof ResolveError ? error.message : 'the look-up failed')
    })
    if (!allowPrivate && !addresses.every(isPublicAddress)) throw new Failure('blocked_address', BLOCKED)
    return addresses.slice(0, ADDRESSES_TRIED_MAX)
  }

  async function send(exchange: Exchange, url: string, { headers, body }: OutboundRequest): Promise<void> {
    const problem = syntaxProblem(url)
    if (problem !== undefined) throw new Failure('invalid_url', problem)
    const { origin, hostname, pathname, search } = new URL(url)
    const addresses = await vettedAddresses(hostname)
    if (exchange.isOver) return
    const line = lines.take(origin, addresses)
    exchange.useLine(line)
    line.client.dispatch({ path: pathname + search, method: 'POST', headers, body }, exchange)
  }

  async function post(url: string, request: OutboundRequest): Promise<OutboundResult> {
    const exchange = new Exchange(deadlineMs)
    underWay.add(exchange.result)
    send(exchange, url, request).catch((error) => exchange.fail(error))
    return exchange.result.finally(() => underWay.delete(exchange.result))
  }

  async function close(): Promise<void> {
    lines.close()
    await Promise.all(underWay)
  }

  return { post, urlProblem, addressProblem, close }
}

/** A connection to vetted addresses, with one request at a time. */
interface Line {
  client: Client
  isSecure: boolean
  /** How often it connected for the request under way. */
  connects: number
  /** To be called after a complete answer only: the line is good for another request. */
  release: () => void
  /** Ends it at once, whatever it is doing. */
  destroy: () => void
}

/**
 * The kept-alive connections. A line on which the receiver hung up meanwhile costs no attempt as long as undici knows
 * that the request wasn't sent: it looks at an idle socket once more before it writes, and connects anew for a request
 * that it hasn't begun to write (once here, see CONNECTS_MAX). When the reset crosses the request on its way, nobody can
 * know whether the receiver acted on it, so that is an attempt, and is recorded as one.
 */
function createLines(ca: string | undefined) {
  // By origin and addresses: a name that has moved, or now names one address more, finds no line to its old ones.
  const idle = new Map<string, Line[]>()
  let isClosed = false

  function take(origin: string, addresses: string[]): Line {
    const key = [origin, ...[...addresses].sort()].join(' ')
    const lines = idle.get(key) ?? []
    const line = lines.at(-1) ?? open(key, origin, addresses)
    keep(key, lines.slice(0, -1))
    line.connects = 0
    return line
  }

  function keep(key: string, lines: Line[]): void {
    if (lines.length > 0) idle.set(key, lines)
    else idle.delete(key)
  }

  function open(key: string, origin: string, addresses: string[]): Line {
    const connect = pinnedConnector(addresses, ca)
    let socket: net.Socket | undefined
    const client = new Client(origin, {
      connect: (options, callback) => {
        line.connects += 1
        if (line.connects <= CONNECTS_MAX) socket = connect(options, callback)
        else callback(new Failure('reset', 'the receiver hangs up before anything is sent'), null)
      },
      keepAliveTimeout: IDLE_MS_MAX,
      keepAliveMaxTimeout: IDLE_MS_MAX,
      // What a receiver promises in `Keep-Alive: timeout` is believed less a second.
      keepAliveTimeoutThreshold: 1_000,
      maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
      // One clock rules: the exchange's.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const line: Line = {
      client,
      isSecure: origin.startsWith('https:'),
      connects: 0,
      release() {
        if (isClosed) line.destroy()
        else keep(key, [...(idle.get(key) ?? []), line])
      },
      destroy() {
        // A client that is still connecting lets its socket try on.
        socket?.destroy()
        void client.destroy(null)
      },
    }
    client.on('disconnect', () => {
      const lines = idle.get(key) ?? []
      if (lines.includes(line)) line.destroy()
      const others = lines.filter((each) => each !== line)
      keep(key, others)
    })
    return line
  }

  function close(): void {
    isClosed = true
    for (const line of [...idle.values()].flat()) line.destroy()
    idle.clear()
  }

  return { take, close }
}

/** Connects to these addresses and no others, whatever the name resolves to by now. Host and TLS keep to the name. */
function pinnedConnector(addresses: string[], ca: string | undefined) {
  const pinned = addresses.map((address) => ({ address, family: net.isIP(address) }))
  const lookup: net.LookupFunction = (_host, options, callback) => {
    if (options.all) callback(null, pinned)
    else callback(null, pinned[0]!.address, pinned[0]!.family)
  }
  const connector = buildConnector({
    lookup,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_TRY_MS,
    timeout: 0,
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
  })
  // It returns the socket, which its type doesn't say.
  return connector as (...args: Parameters<typeof connector>) => net.Socket | undefined
}

/** One request and what came of it, by undici's callbacks and a clock; the first end counts. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly result: Promise<OutboundResult>
  isOver = false
  private readonly startedAt = performance.now()
  private readonly timer: NodeJS.Timeout
  private readonly chunks: Buffer[] = []
  private bytes = 0
  private phase = 'looking up the host'
  private line: Line | undefined
  private answer: { status: number; headers: { retryAfter?: string } } | undefined
  private fulfil!: (result: OutboundResult) => void

  constructor(deadlineMs: number) {
    this.result = new Promise((fulfil) => {
      this.fulfil = fulfil
    })
    // When this process was busy, the answer may lie in the socket: let it be read before it is called late.
    this.timer = setTimeout(() => setImmediate(() => this.giveUp(deadlineMs)), deadlineMs)
  }

  useLine(line: Line): void {
    this.line = line
    this.phase = 'connecting'
  }

  /** Called right before the first byte is written. */
  onRequestStart(): void {
    this.phase = 'waiting for the answer'
  }

  onResponseStart(_controller: unknown, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return
    const retryAfter = [headers['retry-after']].flat()[0]
    this.answer = { status, headers: retryAfter === undefined ? {} : { retryAfter } }
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (this.isOver) return
    this.chunks.push(chunk)
    this.bytes += chunk.length
    if (this.bytes >= RESPONSE_BYTES_MAX) this.abandon()
  }

  onResponseEnd(): void {
    if (this.isOver) return
    this.settle()
    this.line?.release()
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.fail(error)
  }

  /** Ends it for a reason, which counts only if no complete header came before. */
  fail(error: unknown): void {
    const isHandshake = this.phase === 'connecting' && this.line?.isSecure === true
    this.abandon(error instanceof Failure ? error : explain(error, isHandshake))
  }

  private giveUp(deadlineMs: number): void {
    const message = `timed out after ${deadlineMs} ms while ${this.phase}`
    this.fail(new Failure(this.line === undefined ? 'dns' : 'timeout', message))
  }

  /** Ends it before its answer ended, and the connection with it: nothing of it may be sent any more. */
  private abandon(failure?: Failure): void {
    if (this.isOver) return
    this.settle(failure)
    this.line?.destroy()
  }

  private settle(failure?: Failure): void {
    this.isOver = true
    clearTimeout(this.timer)
    const durationMs = Math.round(performance.now() - this.startedAt)
    if (this.answer !== undefined) {
      const body = Buffer.concat(this.chunks).subarray(0, RESPONSE_BYTES_MAX)
      this.fulfil({ is: 'answered', ...this.answer, body, durationMs })
    } else {
      const { error, message } = failure ?? new Failure('invalid_response', 'no header in the answer')
      this.fulfil({ is: 'failed', error, message, durationMs })
    }
  }
}

/** What is wrong with a URL as text, in words for whoever typed it. */
function syntaxProblem(url: string): string | undefined {
  if (url.length > URL_CHARACTERS_MAX) return `must have at most ${URL_CHARACTERS_MAX} characters`
  // The parser would mend these silently; what is stored should be what is called.
  if (/[\s\p{Cc}\\]/u.test(url)) return 'must not contain spaces, control characters or backslashes'
  if (!/^https?:\/\/[^/?#]/i.test(url)) return 'must begin with http:// or https:// and a host'
  if (!URL.canParse(url) && /:\d+([/?#]|$)/.test(url))
    return 'must be a valid URL, with a port from 1 to 65535'
  if (!URL.canParse(url)) return 'must be a valid URL, such as https://shop.example/webhooks'
  const { username, password, href, port } = new URL(url)
  if (username !== '' || password !== '') return 'must not contain a user name or password'
  if (href.includes('#')) return 'must not contain a fragment (#…)'
  if (port === '0') return 'must not name port 0'
  return undefined
}
