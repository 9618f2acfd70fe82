// The results of the webhooks' scenario, from which its tables are made.
import type { Cpu } from '../cpu-meter.ts'
import type { Latency } from '../ledger/webhooks.ts'
import type { LoadResult } from '../load/plan.ts'
import type { BenchBackend } from '../system.ts'

/** `ledger` begins with "ok" when it is right, here and below. */
export type Heap = {
  deliveries: number
  perSecond: number
  seconds: number
  beginsAfterMs: number
  cpuSeconds: Cpu
  ledger: string
}
export type Stream = {
  load: LoadResult
  toAttempt: Latency
  toArrival: Latency
  cpuSeconds: Cpu
  ledger: string
}
/** Attempts on record at an endpoint that hangs, by outcome. */
export type Hanging = { where: 'DNS' | 'connect' | 'header'; outcomes: Record<string, number> }
export type Measured = {
  backend: BenchBackend
  heap: Heap
  alone: Stream
  beside: Stream
  hanging: Hanging[]
}
export type WebhookRound = { systems: Measured[] }
