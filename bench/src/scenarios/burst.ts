// A burst on one route in a closed loop: first a bare route, then the system on each queue backend, in turns.
import { startChild } from '../child.ts'
import { type Cpu, cpuMeter, microsecondsEach } from '../cpu-meter.ts'
import type { Sql } from '../database.ts'
import { newRun } from '../ids.ts'
import type { BodyKind } from '../load/bodies.ts'
import { generators } from '../load/generator-process.ts'
import type { LoadResult } from '../load/plan.ts'
import type { Table } from '../report.ts'
import {
  type Context,
  failures,
  ledgerProblems,
  type Outcome,
  PROCESSING_DELAY_MS,
  warmUp,
} from '../scenario.ts'
import { median, medians } from '../stats.ts'
import { type BenchBackend, startBenchSystem } from '../system.ts'

type Target = 'bare' | BenchBackend
type Measurement = Partial<Aftermath> & {
  round: number
  target: Target
  load: LoadResult
  ratioToBare: number
  /** What the burst cost, by process. */
  cpuSeconds: Cpu
}

/** One burst on the system, while the system still runs. */
export type BurstOnSystem = {
  backend: BenchBackend
  sql: Sql
  run: string
  load: LoadResult
  died: Promise<never>[]
}
/** What the database holds after a burst; `ledger` begins with "ok" when all that was acknowledged is right. */
export type Aftermath = { ledger: string; note?: string; lateness?: object }

export type Burst = {
  title: string
  /** The least share of bare that is asked for. */
  goal?: number
  /** The route's path. */
  url: string
  bodies: BodyKind
  /** Between the warm-up and the burst. */
  warmedUp(system: { sql: Sql; died: Promise<never>[] }): Promise<void>
  /** After the burst; it may take minutes. */
  afterwards(burst: BurstOnSystem): Promise<Aftermath>
}

export async function measureBursts(context: Context, burst: Burst): Promise<Outcome> {
  const { options, print } = context
  const measurements: Measurement[] = []
  // In turns, because a machine's speed drifts: a ratio compares neighbours in time.
  for (let round = 1; round <= options.rounds; round++) {
    const bare = await burstOnBare(context, burst)
    measurements.push({ round, target: 'bare', ratioToBare: 1, ...bare })
    print(`round ${round}: bare ${describe(bare.load)}`)
    for (const backend of options.backends) {
      const measured = await burstOnSystem(context, burst, backend)
      const ratioToBare = measured.load.acknowledgedPerSecond / bare.load.acknowledgedPerSecond
      measurements.push({ round, target: backend, ratioToBare, ...measured })
      print(`round ${round}: ${backend} ${describe(measured.load)}, ${ratioToBare.toFixed(2)} of bare`)
    }
  }
  return {
    tables: [rateTable(burst, measurements), cpuTable(burst, measurements)],
    data: measurements,
    problems: measurements.flatMap(({ target, ledger }) =>
      ledgerProblems(`${burst.title}, ${target}`, ledger),
    ),
  }
}

const describe = (load: LoadResult) =>
  `${Math.round(load.acknowledgedPerSecond)} req/s, p99 ${load.latencyMs.p99} ms`

async function burstOnBare(context: Context, burst: Burst) {
  const server = await startChild(context.environment.janitor, {
    name: 'bare server',
    module: 'bench/dist/bare-server.js',
  })
  const url = new URL(burst.url, server.url).href
  await warmUp(context, url, burst.bodies)
  const cpuSince = cpuMeter({ server: server.pid })
  const load = await Promise.race([post(context, burst, url, newRun()), server.died])
  const cpuSeconds = cpuSince(load)
  await server.stop()
  return { load, cpuSeconds }
}

async function burstOnSystem(context: Context, burst: Burst, backend: BenchBackend) {
  const system = await startBenchSystem(context.environment, {
    backend,
    processingDelayMs: PROCESSING_DELAY_MS,
  })
  const worker = await system.startWorker()
  const died = [system.api.died, worker.died]
  const { sql } = system.database
  const url = new URL(burst.url, system.api.url).href
  await warmUp(context, url, burst.bodies)
  await burst.warmedUp({ sql, died })

  const postgres = context.environment.databaseServer.pid
  const cpuSince = cpuMeter({ server: system.api.pid, worker: worker.pid, postgres })
  const run = newRun()
  const load = await Promise.race([post(context, burst, url, run), ...died])
  const cpuSeconds = cpuSince(load)
  const aftermath = await burst.afterwards({ backend, sql, run, load, died })
  await system.stop()
  return { load, cpuSeconds, ...aftermath }
}

function post(
  { generator, options }: Context,
  { bodies }: Burst,
  url: string,
  run: string,
): Promise<LoadResult> {
  const arrivals = { kind: 'closed', durationMs: options.burstSeconds * 1000, bodies } as const
  return generator.run({ url, run, connections: options.connections, arrivals })
}

function rateTable({ title, goal }: Burst, measurements: Measurement[]): Table {
  const rounds = Math.max(...measurements.map(({ round }) => round))
  const notes = measurements.flatMap(({ round, target, note }) =>
    note === undefined ? [] : [`round ${round}, ${target}: ${note}`],
  )
  return {
    title: `${title}: median of ${rounds} rounds (max: the worst), load by ${generators.closedLoop}`,
    columns: [
      'target',
      'req/s',
      'of bare',
      'each round',
      'p50 ms',
      'p99 ms',
      'max ms',
      'not 202',
      'lost',
      'ledger',
    ],
    rows: byTarget(measurements).map(([target, own]) => [
      target,
      median(own.map(({ load }) => load.acknowledgedPerSecond)),
      median(own.map(({ ratioToBare }) => ratioToBare)),
      own.map(({ ratioToBare }) => ratioToBare.toFixed(2)).join(' '),
      median(own.map(({ load }) => load.latencyMs.p50)),
      median(own.map(({ load }) => load.latencyMs.p99)),
      Math.max(...own.map(({ load }) => load.latencyMs.max)),
      ...failures(own.map(({ load }) => load)),
      own.map(({ ledger }) => ledger ?? '-').join(', '),
    ]),
    notes: goal === undefined ? notes : [`goal: at least ${goal} of bare`, ...notes],
  }
}

const cpuTable = ({ title }: Burst, measurements: Measurement[]): Table => ({
  title: `${title}: CPU in microseconds a request, which a busy machine distorts less than rates`,
  columns: ['target', 'server', 'worker', 'PostgreSQL', 'generator'],
  rows: byTarget(measurements).map(([target, own]) => [
    target,
    ...medians(own.map(({ cpuSeconds, load }) => microsecondsEach(cpuSeconds, load.acknowledged))),
  ]),
})

function byTarget(measurements: Measurement[]): [Target, Measurement[]][] {
  const targets = [...new Set(measurements.map(({ target }) => target))]
  return targets.map((target) => [target, measurements.filter((one) => one.target === target)])
}

export const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
