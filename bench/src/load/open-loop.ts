// The open loop: requests are due on a schedule, whether or not earlier ones have their response.
import { Client } from 'undici'
import { Sample } from '../stats.ts'
import { type Requests, requestsOf } from './bodies.ts'
import type { LoadResult, LoadTarget, OpenArrivals } from './plan.ts'

const RESPONSE_WITHIN_MS = 10_000
const TICK_MS = 1

/**
 * Autocannon has no such schedule: it sends a rate's quota at the start of each second, and counts latency from the
 * sending. A request that is due while all connections are busy waits, and its latency counts the wait.
 */
export async function openLoop(target: LoadTarget, arrivals: OpenArrivals): Promise<LoadResult> {
  const cpuBefore = process.cpuUsage()
  const loop = new OpenLoop(target, arrivals)
  const acknowledgedPerSecond = await loop.sendAll()
  await loop.settleAll()
  const cpu = process.cpuUsage(cpuBefore)
  return {
    ...loop.counts,
    unacknowledged: loop.unacknowledged,
    acknowledgedPerSecond,
    latencyMs: loop.latencies.summary(),
    generatorCpuSeconds: (cpu.user + cpu.system) / 1e6,
  }
}

class OpenLoop {
  readonly counts = { sent: 0, acknowledged: 0, otherStatuses: {} as Record<string, number>, lost: 0 }
  readonly unacknowledged: number[] = []
  readonly latencies = new Sample()

  readonly #arrivals: OpenArrivals
  readonly #requests: Requests
  readonly #connections: Connection[]
  readonly #idle: Connection[]
  #startedAt = 0
  #settled = () => {}

  constructor(target: LoadTarget, arrivals: OpenArrivals) {
    this.#arrivals = arrivals
    this.#requests = requestsOf(arrivals.bodies ?? 'transactions', target.run)
    const onSettled = this.#onSettled.bind(this)
    this.#connections = Array.from(
      { length: target.connections },
      () => new Connection(target, this.#requests, onSettled),
    )
    this.#idle = [...this.#connections]
  }

  /** Acknowledged requests by second, until the last one was sent. */
  async sendAll(): Promise<number> {
    this.#startedAt = performance.now()
    await new Promise<void>((allSent) => {
      const tick = () => {
        if (this.counts.sent >= this.#arrivals.count) return allSent()
        while (this.#idle.length > 0 && this.#isDue()) this.#post(this.#idle.pop()!)
        setTimeout(tick, TICK_MS)
      }
      tick()
    })
    return (this.counts.acknowledged * 1000) / (performance.now() - this.#startedAt)
  }

  /** Gives up what has no response by then: it is lost. */
  async settleAll(): Promise<void> {
    const giveUp = setTimeout(() => this.#destroy(), RESPONSE_WITHIN_MS)
    if (this.#idle.length < this.#connections.length)
      await new Promise<void>((resolve) => (this.#settled = resolve))
    clearTimeout(giveUp)
    this.#destroy()
  }

  #dueAt(): number {
    return this.#startedAt + (this.counts.sent * 1000) / this.#arrivals.ratePerSecond
  }

  #isDue(): boolean {
    return this.counts.sent < this.#arrivals.count && this.#dueAt() <= performance.now()
  }

  #post(connection: Connection): void {
    const dueAt = this.#dueAt()
    connection.post(this.counts.sent++, dueAt)
  }

  #onSettled(connection: Connection, status: number | undefined): void {
    if (status !== undefined) this.latencies.add(performance.now() - connection.dueAt)
    if (status === this.#requests.acknowledgedBy) this.counts.acknowledged++
    else {
      this.unacknowledged.push(connection.sequence)
      if (status === undefined) this.counts.lost++
      else this.counts.otherStatuses[status] = (this.counts.otherStatuses[status] ?? 0) + 1
    }
    if (this.#isDue()) this.#post(connection)
    else if (this.#idle.push(connection) === this.#connections.length) this.#settled()
  }

  #destroy(): void {
    for (const connection of this.#connections) connection.destroy()
  }
}

/** One keep-alive connection with at most one request in flight. It is its own handler, which spares objects. */
class Connection {
  sequence = -1
  dueAt = 0

  readonly #client: Client
  readonly #path: string
  readonly #headers: Record<string, string>
  readonly #requests: Requests
  readonly #onSettled: (connection: Connection, status: number | undefined) => void
  #status: number | undefined

  constructor(
    { url, headers }: LoadTarget,
    requests: Requests,
    onSettled: (connection: Connection, status: number | undefined) => void,
  ) {
    const { origin, pathname } = new URL(url)
    this.#client = new Client(origin, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })
    this.#path = pathname
    this.#headers = { 'content-type': 'application/json', ...headers }
    this.#requests = requests
    this.#onSettled = onSettled
  }

  post(sequence: number, dueAt: number): void {
    const { bodyOf, headersOf } = this.#requests
    this.sequence = sequence
    this.dueAt = dueAt
    this.#status = undefined
    const headers = headersOf ? { ...this.#headers, ...headersOf(sequence) } : this.#headers
    const body = JSON.stringify(bodyOf(sequence))
    this.#client.dispatch({ path: this.#path, method: 'POST', headers, body }, this)
  }

  destroy(): void {
    this.#client.destroy().catch(() => {})
  }

  // What undici calls.
  onRequestStart(): void {}
  onResponseStart(_: unknown, status: number): void {
    this.#status = status
  }
  onResponseData(): void {}
  onResponseEnd(): void {
    this.#onSettled(this, this.#status)
  }
  /** The request has no complete response: the server may have taken it or not. */
  onResponseError(): void {
    this.#onSettled(this, undefined)
  }
}
