// Fixed rates for minutes: latency of the response, lateness of processing, and growth of the backlog.
import type { Sql } from '../database.ts'
import { newRun } from '../ids.ts'
import { checkLedger, readWaits, untilDone } from '../ledger/ledger.ts'
import { transactionLedger } from '../ledger/transactions.ts'
import {
  type Context,
  every,
  failures,
  ledgerProblems,
  type Outcome,
  PROCESSING_DELAY_MS,
  type Scenario,
  warmUp,
} from '../scenario.ts'
import { slope } from '../stats.ts'
import { startBenchSystem } from '../system.ts'

const SAMPLE_EVERY_MS = 5000
const DURATION_SECONDS = 120
const RATES = [3000, 4000]

type BacklogSample = { second: number; notEnqueued: number; overdue: number }

export const steady: Scenario = {
  name: 'steady',
  summary:
    'fixed rates for two minutes on Redis: latency from the scheduled time, lateness of processing, backlog',
  async run(context) {
    const results: Awaited<ReturnType<typeof measure>>[] = []
    for (const rate of context.options.rates ?? RATES) results.push(await measure(context, rate))
    return report(results, context.options.steadySeconds ?? DURATION_SECONDS)
  },
}

async function measure(context: Context, rate: number) {
  const { environment, generator, options, print } = context
  const { steadySeconds = DURATION_SECONDS, connections } = options
  const system = await startBenchSystem(environment, {
    backend: 'redis',
    processingDelayMs: PROCESSING_DELAY_MS,
  })
  const worker = await system.startWorker()
  const died = [system.api.died, worker.died]
  const { sql } = system.database
  await warmUp(context, system.postUrl)
  await untilDone(sql, transactionLedger.work, { died }) // the warm-up must not delay the first transactions

  const startedAt = Date.now()
  const backlog: BacklogSample[] = []
  const stopSampling = every(SAMPLE_EVERY_MS, async () => {
    const sample = await backlogSample(sql, (Date.now() - startedAt) / 1000).catch(() => undefined)
    if (sample) backlog.push(sample)
  })
  const run = newRun()
  const arrivals = { kind: 'open', ratePerSecond: rate, count: rate * steadySeconds } as const
  const plan = { url: system.postUrl, run, connections, arrivals }
  const load = await Promise.race([generator.run(plan), ...died])
  stopSampling()
  print(
    `${rate}/s: acknowledged ${load.acknowledged} of ${load.sent}, p99 ${load.latencyMs.p99.toFixed(1)} ms`,
  )

  const ledger = await checkLedger(sql, transactionLedger, { run, ...load })
  await untilDone(sql, transactionLedger.work, { died })
  const lateness = await readWaits(sql, transactionLedger.work, run, PROCESSING_DELAY_MS)
  await system.stop()
  return { rate, load, lateness, backlog, ledger }
}

async function backlogSample(sql: Sql, second: number): Promise<BacklogSample> {
  const [row] = await sql(`
    SELECT (SELECT count(*) FROM transactions WHERE processed_at IS NULL AND enqueued_at IS NULL) AS not_enqueued,
           (SELECT count(*) FROM transactions WHERE processed_at IS NULL AND due_at < now() - interval '1 second') AS overdue`)
  return { second, notEnqueued: Number(row?.not_enqueued), overdue: Number(row?.overdue) }
}

function report(results: Awaited<ReturnType<typeof measure>>[], durationSeconds: number): Outcome {
  const growth = (samples: BacklogSample[], of: 'notEnqueued' | 'overdue') =>
    // Before the first transactions are due, arrivals only add up.
    slope(
      samples
        .filter(({ second }) => second * 1000 > PROCESSING_DELAY_MS)
        .map((sample) => ({ x: sample.second, y: sample[of] })),
    )
  const most = (samples: BacklogSample[], of: 'notEnqueued' | 'overdue') =>
    Math.max(0, ...samples.map((sample) => sample[of]))
  return {
    tables: [
      {
        title: `steady: open loop on Redis, ${durationSeconds} s each, latency from the scheduled time`,
        columns: ['rate/s', 'ack/s', 'p50 ms', 'p99 ms', 'max ms', 'not 202', 'lost', 'ledger'],
        rows: results.map(({ rate, load, ledger }) => [
          rate,
          load.acknowledgedPerSecond,
          load.latencyMs.p50,
          load.latencyMs.p99,
          load.latencyMs.max,
          ...failures([load]),
          ledger,
        ]),
      },
      {
        title: 'steady: lateness of processing and backlog',
        columns: [
          'rate/s',
          'late p50 ms',
          'p99 ms',
          'max ms',
          'not enqueued max',
          'growth/s',
          'overdue max',
          'growth/s',
        ],
        rows: results.map(({ rate, lateness, backlog }) => [
          rate,
          lateness.p50,
          lateness.p99,
          lateness.max,
          most(backlog, 'notEnqueued'),
          growth(backlog, 'notEnqueued'),
          most(backlog, 'overdue'),
          growth(backlog, 'overdue'),
        ]),
        notes: ['overdue: more than 1 s past their due time and not processed'],
      },
    ],
    data: results,
    problems: results.flatMap(({ rate, ledger }) => ledgerProblems(`steady, ${rate}/s`, ledger)),
  }
}
