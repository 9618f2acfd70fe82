// What the benchmark asks of its load generator, and what it gets back; the messages between the two processes.
import type { Summary } from '../stats.ts'
import type { BodyKind } from './bodies.ts'

export type LoadTarget = {
  url: string
  /** Part of every id, see ids.ts. */
  run: string
  connections: number
  /** Of every request, beside the usual ones. */
  headers?: Record<string, string>
}

export type LoadPlan = LoadTarget & {
  /** `closed`: each connection sends as soon as it has its answer. `open`: arrivals at a fixed rate, whatever comes back. */
  arrivals: ClosedArrivals | OpenArrivals
}

export type ClosedArrivals = { kind: 'closed'; durationMs: number; bodies: BodyKind }
/** Of transactions, unless it says otherwise. */
export type OpenArrivals = { kind: 'open'; ratePerSecond: number; count: number; bodies?: BodyKind }

export type LoadResult = {
  sent: number
  /** Answered 202; 201 where the route makes something, 200 where it says so. */
  acknowledged: number
  /** Other answers, by status. */
  otherStatuses: Record<string, number>
  /** Requests without an answer, except those that were in flight when a closed loop's time was up. */
  lost: number
  /** Numbers of the requests that were sent and not acknowledged: all others must be in the database. */
  unacknowledged: number[]
  /** Acknowledged by second, until the last request was sent (open) or the time was up (closed). */
  acknowledgedPerSecond: number
  /** From the moment a request was due (open) or sent (closed: whole milliseconds) to the end of its response. */
  latencyMs: Summary
  /** CPU that the generator itself took, in seconds. */
  generatorCpuSeconds: number
}

export type GeneratorReply =
  | { type: 'ready' }
  | { type: 'done'; result: LoadResult }
  | { type: 'failed'; message: string }
