// What every scenario takes and returns, and the steps that scenarios share.
import { newRun } from './ids.ts'
import { isRight } from './ledger/ledger.ts'
import type { BodyKind } from './load/bodies.ts'
import type { LoadGenerator } from './load/generator-process.ts'
import type { LoadResult } from './load/plan.ts'
import type { Table } from './report.ts'
import type { BenchBackend, BenchEnvironment } from './system.ts'

export type Options = {
  rounds: number
  connections: number
  burstSeconds: number
  /** Undefined: each scenario's own. */
  steadySeconds: number | undefined
  rates: readonly number[] | undefined
  /** Undefined: each scenario's own. */
  count: number | undefined
  backends: readonly BenchBackend[]
}

export type Context = {
  environment: BenchEnvironment
  generator: LoadGenerator
  options: Options
  /** Prints a line of progress. */
  print(line: string): void
}

/** `problems` are broken promises, such as lost rows. A slow number is a result, not a problem. */
export type Outcome = { tables: Table[]; data: unknown; problems: string[] }

export type Scenario = { name: string; summary: string; run(context: Context): Promise<Outcome> }

export const PROCESSING_DELAY_MS = 30_000

const WARM_UP_MS = 1500
const PAUSE_MS = 500

/** Compiles the hot paths and fills the pools, with a run of its own that no result counts. */
export async function warmUp(
  { generator, options }: Context,
  url: string,
  bodies: BodyKind = 'transactions',
): Promise<void> {
  const arrivals = { kind: 'closed', durationMs: WARM_UP_MS, bodies } as const
  await generator.run({ url, run: newRun(), connections: options.connections, arrivals })
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
}

/** Runs the steps once a round, with the round's number before each line of progress. */
export async function eachRound<T>(context: Context, round: (context: Context) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let number = 1; number <= context.options.rounds; number++) {
    const print = (line: string) => context.print(`round ${number}: ${line}`)
    results.push(await round({ ...context, print }))
  }
  return results
}

/** Calls `sample` at intervals until the returned function is called. */
export function every(ms: number, sample: () => unknown): () => void {
  const timer = setInterval(sample, ms)
  return () => clearInterval(timer)
}

/** The last columns of a table: other statuses than the expected one, and requests without a response. */
export function failures(loads: readonly LoadResult[]): [statuses: string, lost: number] {
  const statuses = loads.map(
    ({ otherStatuses }) =>
      Object.entries(otherStatuses)
        .map(([status, count]) => `${count}×${status}`)
        .join(' ') || '0',
  )
  return [[...new Set(statuses)].join(', '), loads.reduce((sum, { lost }) => sum + lost, 0)]
}

/** What every request may expect: the expected response, and a right ledger. Slowness is no problem. */
export function loadProblems(name: string, { load, ledger }: { load: LoadResult; ledger: string }): string[] {
  const [statuses, lost] = failures([load])
  return [
    ...(statuses === '0' ? [] : [`${name}: responses ${statuses}`]),
    ...(lost === 0 ? [] : [`${name}: ${lost} without a response`]),
    ...ledgerProblems(name, ledger),
  ]
}

export const ledgerProblems = (name: string, ledger: string | undefined) =>
  ledger === undefined || isRight(ledger) ? [] : [`${name}: ${ledger}`]
