// The messages between the benchmark and its load generator: a plan, and the result of a run.
import type { Summary } from '../stats.ts'
import type { BodyKind } from './bodies.ts'

export type LoadTarget = {
  url: string
  /** Part of every id, see ids.ts. */
  run: string
  connections: number
  /** Headers of every request, beside Content-Type. */
  headers?: Record<string, string>
}

export type LoadPlan = LoadTarget & {
  /** `closed`: each connection sends as soon as it has its response. `open`: requests are due at a fixed rate. */
  arrivals: ClosedArrivals | OpenArrivals
}

export type ClosedArrivals = { kind: 'closed'; durationMs: number; bodies: BodyKind }
/** Without `bodies`: transactions. */
export type OpenArrivals = { kind: 'open'; ratePerSecond: number; count: number; bodies?: BodyKind }

export type LoadResult = {
  sent: number
  /** Requests whose response has the expected status: 202, 201 or 200 by route. */
  acknowledged: number
  /** Counts of other responses, by status. */
  otherStatuses: Record<string, number>
  /** Requests without a response, except those in flight when a closed loop's time was up. */
  lost: number
  /** Numbers of the requests that were sent and not acknowledged: all others must be in the database. */
  unacknowledged: number[]
  /** Acknowledged by second, until the last request was sent (open) or the time was up (closed). */
  acknowledgedPerSecond: number
  /** From when a request was due (open) or sent (closed: whole milliseconds) to the end of its response. */
  latencyMs: Summary
  /** CPU of the generator itself, in seconds. */
  generatorCpuSeconds: number
}

export type GeneratorReply =
  | { type: 'ready' }
  | { type: 'done'; result: LoadResult }
  | { type: 'failed'; message: string }
