// A burst of transactions at 256 connections: a bare route, then the system on each queue backend, in turns.
import { postTransaction } from '@sluice/contracts'
import { checkLedger, readWaits, untilDone } from '../ledger/ledger.ts'
import { transactionLedger } from '../ledger/transactions.ts'
import { generators } from '../load/generator-process.ts'
import { PROCESSING_DELAY_MS, type Scenario } from '../scenario.ts'
import { type Aftermath, type BurstOnSystem, measureBursts, seconds } from './burst.ts'

export const ingest: Scenario = {
  name: 'ingest',
  summary: 'burst of transactions: bare route, API on Redis, API on the PostgreSQL queue',
  async run(context) {
    context.print(`closed loop of ${context.options.connections} connections by ${generators.closedLoop}`)
    return measureBursts(context, {
      title: 'ingest',
      url: postTransaction.url,
      bodies: 'transactions',
      warmedUp: async () => {}, // the warm-up's transactions are due in 30 s, after the burst
      afterwards,
    })
  },
}

async function afterwards({ backend, sql, run, load, died }: BurstOnSystem): Promise<Aftermath> {
  const ledger = await checkLedger(sql, transactionLedger, { run, ...load })
  // Only Redis promises when a burst is done. The PostgreSQL queue takes minutes, late but without a loss.
  if (backend !== 'redis') return { ledger }
  await untilDone(sql, transactionLedger.work, { died })
  const lateness = await readWaits(sql, transactionLedger.work, run, PROCESSING_DELAY_MS)
  const { lastMs, p50, max } = lateness
  return {
    ledger,
    lateness,
    note: `the last transaction was processed ${seconds(lastMs)} after its due time (p50 ${seconds(p50)}, max ${seconds(max)})`,
  }
}
