// A burst of transactions at 256 connections: a bare route, then the real thing on either queue backend, in turns.

import { postTransaction } from '@sluice/contracts'
import { startChild } from '../child.ts'
import { checkLedger, type Lateness, ledgerVerdict, processingLateness, untilProcessed } from '../ledger.ts'
import { generators } from '../load/client.ts'
import type { LoadResult } from '../load/plan.ts'
import { cpuSeconds, cpuSecondsWithChildren } from '../process-stats.ts'
import {
  type Context,
  failures,
  type Outcome,
  PROCESSING_DELAY_MS,
  type Scenario,
  warmUp,
} from '../scenario.ts'
import { median } from '../stats.ts'
import { type Backend, startSystem } from '../system.ts'
import { newRun } from '../transactions.ts'

type Target = 'bare' | Backend
type Cpu = Record<'server' | 'worker' | 'postgres' | 'generator', number>
type Measurement = {
  round: number
  target: Target
  load: LoadResult
  ratioToBare: number
  ledger?: string
  lateness?: Lateness
  /** What the burst cost, by process. */
  cpuSeconds: Cpu
}

export const ingest: Scenario = {
  name: 'ingest',
  summary: 'burst of transactions: bare route, API on Redis, API on the PostgreSQL queue',
  run,
}

async function run(context: Context): Promise<Outcome> {
  const { options, say } = context
  const measurements: Measurement[] = []
  say(`closed loop of ${options.connections} connections by ${generators.closedLoop}`)
  // In turns, because a machine's speed drifts: a ratio compares neighbours in time.
  for (let round = 1; round <= options.rounds; round++) {
    const bare = await burstOnBare(context)
    measurements.push({ round, target: 'bare', ratioToBare: 1, ...bare })
    say(`round ${round}: bare ${describe(bare.load)}`)
    for (const backend of options.backends) {
      const measured = await burstOnSystem(context, backend)
      const ratioToBare = measured.load.acknowledgedPerSecond / bare.load.acknowledgedPerSecond
      measurements.push({ round, target: backend, ratioToBare, ...measured })
      say(`round ${round}: ${backend} ${describe(measured.load)}, ${ratioToBare.toFixed(2)} of bare`)
    }
  }
  return report(measurements)
}

const describe = (load: LoadResult) =>
  `${Math.round(load.acknowledgedPerSecond)} req/s, p99 ${load.latencyMs.p99} ms`

async function burstOnBare(context: Context) {
  const server = await startChild(context.environment.janitor, {
    name: 'bare server',
    module: 'bench/dist/bare-server.js',
  })
  const url = new URL(postTransaction.url, server.url).href
  await warmUp(context, url)
  const cpuSince = cpuMeter({ server: server.pid })
  const load = await Promise.race([burst(context, url, newRun()), server.died])
  const cpuSeconds = cpuSince(load)
  await server.stop()
  return { load, cpuSeconds }
}

async function burstOnSystem(context: Context, backend: Backend) {
  const system = await startSystem(context.environment, { backend, processingDelayMs: PROCESSING_DELAY_MS })
  const worker = await system.startWorker()
  const died = [system.api.died, worker.died]
  const { sql } = system.database
  await warmUp(context, system.postUrl)

  const postgres = context.environment.databaseServer.pid
  const cpuSince = cpuMeter({ server: system.api.pid, worker: worker.pid, postgres })
  const run = newRun()
  const load = await Promise.race([burst(context, system.postUrl, run), ...died])
  const cpuSeconds = cpuSince(load)
  const ledger = ledgerVerdict(await checkLedger(sql, run, load))

  // Only Redis promises when a burst is done; the PostgreSQL queue takes minutes for it, late but never lost.
  let lateness: Lateness | undefined
  if (backend === 'redis') {
    await untilProcessed(sql, died)
    lateness = await processingLateness(sql, run, PROCESSING_DELAY_MS)
  }
  await system.stop()
  return { load, ledger, cpuSeconds, ...(lateness ? { lateness } : {}) }
}

function burst({ generator, options }: Context, url: string, run: string): Promise<LoadResult> {
  const arrivals = { kind: 'closed', durationMs: options.burstSeconds * 1000 } as const
  return generator.run({ url, run, connections: options.connections, arrivals })
}

function cpuMeter(pids: { server: number; worker?: number; postgres?: number }): (load: LoadResult) => Cpu {
  const read = () => ({
    server: cpuSeconds(pids.server) ?? Number.NaN,
    worker: pids.worker === undefined ? 0 : (cpuSeconds(pids.worker) ?? Number.NaN),
    postgres: pids.postgres === undefined ? 0 : (cpuSecondsWithChildren(pids.postgres) ?? Number.NaN),
  })
  const before = read()
  return ({ generatorCpuSeconds }) => {
    const after = read()
    return {
      server: after.server - before.server,
      worker: after.worker - before.worker,
      postgres: after.postgres - before.postgres,
      generator: generatorCpuSeconds,
    }
  }
}

function report(measurements: Measurement[]): Outcome {
  const targets = [...new Set(measurements.map(({ target }) => target))]
  const rows = targets.map((target) => {
    const own = measurements.filter((measurement) => measurement.target === target)
    const middle = (pick: (measurement: Measurement) => number) => median(own.map(pick))
    const failed = own.map(({ load }) => failures(load))
    return [
      target,
      middle(({ load }) => load.acknowledgedPerSecond),
      middle(({ ratioToBare }) => ratioToBare),
      own.map(({ ratioToBare }) => ratioToBare.toFixed(2)).join(' '),
      middle(({ load }) => load.latencyMs.p50),
      middle(({ load }) => load.latencyMs.p99),
      Math.max(...own.map(({ load }) => load.latencyMs.max)),
      [...new Set(failed.map(([non202]) => non202))].join(', '),
      failed.reduce((sum, [, lost]) => sum + lost, 0),
      own.map(({ ledger }) => ledger ?? '-').join(', '),
    ]
  })
  const costs = targets.map((target) => {
    const own = measurements.filter((measurement) => measurement.target === target)
    const perRequest = (part: keyof Cpu) =>
      median(own.map(({ cpuSeconds: cpu, load }) => (cpu[part] * 1e6) / load.acknowledged))
    return [target, ...(['server', 'worker', 'postgres', 'generator'] as const).map(perRequest)]
  })
  const notes = measurements.flatMap(({ round, target, lateness }) =>
    lateness === undefined
      ? []
      : [
          `round ${round}, ${target}: the last transaction was processed ${seconds(lateness.lastProcessed)} after its due time (p50 ${seconds(lateness.p50)}, max ${seconds(lateness.max)})`,
        ],
  )
  return {
    tables: [
      {
        title: `ingest: median of ${Math.max(...measurements.map(({ round }) => round))} rounds (max: the worst), load by ${generators.closedLoop}`,
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
        rows,
        notes,
      },
      {
        title: 'ingest: CPU in microseconds a request, which a busy machine distorts less than rates',
        columns: ['target', 'server', 'worker', 'PostgreSQL', 'generator'],
        rows: costs,
      },
    ],
    data: measurements.map(({ load: { unacknowledged: _, ...load }, ...rest }) => ({ ...rest, load })),
    problems: measurements.flatMap(({ target, ledger }) =>
      ledger === undefined || ledger.startsWith('ok') ? [] : [`ingest, ${target}: ${ledger}`],
    ),
  }
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
