// 50,000 transactions in flight at once: their cost to one worker in memory, and their lateness.
import { newRun } from '../ids.ts'
import { checkLedger, readWaits, untilDone } from '../ledger/ledger.ts'
import { transactionLedger } from '../ledger/transactions.ts'
import { memoryMb, processStatsAvailable } from '../process-stats.ts'
import {
  type Context,
  every,
  failures,
  ledgerProblems,
  type Outcome,
  PROCESSING_DELAY_MS,
  type Scenario,
} from '../scenario.ts'
import { type BenchBackend, startBenchSystem } from '../system.ts'

const RATE_PER_SECOND = 10_000
const COUNT = 50_000
const SAMPLE_EVERY_MS = 250

export const inflight: Scenario = {
  name: 'inflight',
  summary: '50,000 transactions in flight on one worker: memory of worker and API, lateness, both backends',
  async run(context) {
    const results: Awaited<ReturnType<typeof measure>>[] = []
    for (const backend of context.options.backends) results.push(await measure(context, backend))
    return report(results)
  },
}

async function measure({ environment, generator, options, print }: Context, backend: BenchBackend) {
  const system = await startBenchSystem(environment, { backend, processingDelayMs: PROCESSING_DELAY_MS })
  const worker = await system.startWorker()
  const died = [system.api.died, worker.died]
  const { sql } = system.database

  const memory: { api: number; worker: number }[] = []
  const sample = () => {
    const [ofApi, ofWorker] = [memoryMb(system.api.pid), memoryMb(worker.pid)]
    if (ofApi && ofWorker) memory.push({ api: ofApi.current, worker: ofWorker.current })
  }
  sample()
  const stopSampling = every(SAMPLE_EVERY_MS, sample)
  const run = newRun()
  const arrivals = { kind: 'open', ratePerSecond: RATE_PER_SECOND, count: options.count ?? COUNT } as const
  const plan = { url: system.postUrl, run, connections: options.connections, arrivals }
  const load = await Promise.race([generator.run(plan), ...died])
  print(`${backend}: posted ${load.sent} at ${Math.round(load.acknowledgedPerSecond)}/s`)
  const ledger = await checkLedger(sql, transactionLedger, { run, ...load })
  await untilDone(sql, transactionLedger.work, { died })
  stopSampling()

  const lateness = await readWaits(sql, transactionLedger.work, run, PROCESSING_DELAY_MS)
  const peakMb = { api: memoryMb(system.api.pid)?.peak, worker: memoryMb(worker.pid)?.peak }
  await system.stop()
  return { backend, load, lateness, ledger, peakMb, memory }
}

function report(results: Awaited<ReturnType<typeof measure>>[]): Outcome {
  return {
    tables: [
      {
        title: `inflight: posted at ${RATE_PER_SECOND.toLocaleString('en-US')}/s, due ${PROCESSING_DELAY_MS / 1000} s later, one worker`,
        columns: [
          'backend',
          'count',
          'ack/s',
          'ack p99 ms',
          'not 202',
          'lost',
          'late p50 ms',
          'p99 ms',
          'max ms',
          'worker MB',
          'peak',
          'API MB',
          'peak',
          'ledger',
        ],
        rows: results.map(({ backend, load, lateness, peakMb, memory, ledger }) => [
          backend,
          load.sent,
          load.acknowledgedPerSecond,
          load.latencyMs.p99,
          ...failures([load]),
          lateness.p50,
          lateness.p99,
          lateness.max,
          memory[0]?.worker ?? Number.NaN,
          peakMb.worker ?? Number.NaN,
          memory[0]?.api ?? Number.NaN,
          peakMb.api ?? Number.NaN,
          ledger,
        ]),
        notes: [
          processStatsAvailable
            ? 'MB: resident memory when idle; peak: the greatest since the process began'
            : 'this system has no /proc, from which memory is read',
        ],
      },
    ],
    data: results,
    problems: results.flatMap(({ backend, ledger }) => ledgerProblems(`inflight, ${backend}`, ledger)),
  }
}
