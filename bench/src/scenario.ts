// What every scenario gets and gives, and the steps they share.

import { newRun } from './ids.ts'
import type { BodyKind } from './load/bodies.ts'
import type { LoadGenerator } from './load/client.ts'
import type { LoadResult } from './load/plan.ts'
import type { Table } from './report.ts'
import type { Backend, Environment } from './system.ts'

export type Options = {
  rounds: number
  connections: number
  burstSeconds: number
  /** Undefined: each scenario's own. */
  steadySeconds: number | undefined
  rates: readonly number[] | undefined
  /** Undefined: each scenario's own. */
  count: number | undefined
  backends: readonly Backend[]
}

export type Context = {
  environment: Environment
  generator: LoadGenerator
  options: Options
  /** A line of progress. */
  say(line: string): void
}

/** `problems` are broken promises, such as lost rows; slow numbers are no problem, they are results. */
export type Outcome = { tables: Table[]; data: unknown; problems: string[] }

export type Scenario = { name: string; summary: string; run(context: Context): Promise<Outcome> }

export const PROCESSING_DELAY_MS = 30_000

const WARM_UP_MS = 1500
const PAUSE_MS = 500

/** Compiles the hot paths and fills the pools, on ids of its own that no result counts. */
export async function warmUp(
  { generator, options }: Context,
  url: string,
  bodies: BodyKind = 'transactions',
): Promise<void> {
  const arrivals = { kind: 'closed', durationMs: WARM_UP_MS, bodies } as const
  await generator.run({ url, run: newRun(), connections: options.connections, arrivals })
  await pause(PAUSE_MS)
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Calls `sample` at intervals until the answer is called. */
export function every(ms: number, sample: () => unknown): () => void {
  const timer = setInterval(sample, ms)
  return () => clearInterval(timer)
}

/** Requests that were refused or got no answer, for the last columns of a table. */
export function failures({ otherStatuses, lost }: LoadResult): [non202: string, lost: number] {
  const statuses = Object.entries(otherStatuses).map(([status, count]) => `${count}×${status}`)
  return [statuses.join(' ') || '0', lost]
}
