// The throughput of one worker on due transactions, with no load beside it.
import { newRun } from '../ids.ts'
import { checkLedger, untilDone } from '../ledger/ledger.ts'
import { transactionLedger } from '../ledger/transactions.ts'
import { cpuSeconds, memoryMb } from '../process-stats.ts'
import { type Context, ledgerProblems, type Outcome, type Scenario } from '../scenario.ts'
import { type BenchBackend, startBenchSystem } from '../system.ts'

const POST_RATE_PER_SECOND = 10_000
const COUNT = 50_000

export const worker: Scenario = {
  name: 'worker',
  summary: 'throughput of one worker without a processing delay, both backends',
  async run(context) {
    const results: Awaited<ReturnType<typeof measure>>[] = []
    for (const backend of context.options.backends) results.push(await measure(context, backend))
    return report(results)
  },
}

async function measure({ environment, generator, options, print }: Context, backend: BenchBackend) {
  const system = await startBenchSystem(environment, { backend, processingDelayMs: 0 })
  const { sql } = system.database
  const run = newRun()
  const arrivals = {
    kind: 'open',
    ratePerSecond: POST_RATE_PER_SECOND,
    count: options.count ?? COUNT,
  } as const
  const plan = { url: system.postUrl, run, connections: options.connections, arrivals }
  const load = await Promise.race([generator.run(plan), system.api.died])
  const ledger = await checkLedger(sql, transactionLedger, { run, ...load })

  // The worker starts now, so that the generator and the API take no CPU from it.
  const startedAt = Date.now()
  const process = await system.startWorker()
  await untilDone(sql, transactionLedger.work, { died: [process.died] })
  const elapsedSeconds = (Date.now() - startedAt) / 1000
  const cpu = cpuSeconds(process.pid) ?? Number.NaN
  const peakMb = memoryMb(process.pid)?.peak ?? Number.NaN
  const [row] = await sql(`
    SELECT count(*) AS count, extract(epoch FROM max(processed_at) - min(processed_at))::float8 AS seconds FROM transactions`)
  await system.stop()
  const processed = Number(row?.count)
  const perSecond = processed / Number(row?.seconds)
  print(`${backend}: ${Math.round(perSecond)}/s`)
  return { backend, processed, perSecond, elapsedSeconds, cpu, peakMb, ledger }
}

function report(results: Awaited<ReturnType<typeof measure>>[]): Outcome {
  return {
    tables: [
      {
        title: 'worker: due transactions processed by one worker',
        columns: ['backend', 'count', 'processed/s', 'all done after s', 'worker CPU s', 'peak MB', 'ledger'],
        rows: results.map((result) => [
          result.backend,
          result.processed,
          result.perSecond,
          result.elapsedSeconds,
          result.cpu,
          result.peakMb,
          result.ledger,
        ]),
        notes: [
          'processed/s: between the first and the last processed_at; "all done" includes the worker\'s start',
        ],
      },
    ],
    data: results,
    problems: results.flatMap(({ backend, ledger }) => ledgerProblems(`worker, ${backend}`, ledger)),
  }
}
