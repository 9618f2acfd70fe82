// A burst of transactions at 256 connections: a bare route, then the real thing on either queue backend, in turns.
import { postTransaction } from '@sluice/contracts'
import { checkLedger, ledgerVerdict, processingLateness, transactionWork, untilDone } from '../ledger.ts'
import { generators } from '../load/client.ts'
import { PROCESSING_DELAY_MS, type Scenario } from '../scenario.ts'
import { type Aftermath, type BurstOnSystem, measureBursts, seconds } from './burst.ts'

export const ingest: Scenario = {
  name: 'ingest',
  summary: 'burst of transactions: bare route, API on Redis, API on the PostgreSQL queue',
  async run(context) {
    context.say(`closed loop of ${context.options.connections} connections by ${generators.closedLoop}`)
    return measureBursts(context, {
      title: 'ingest',
      url: postTransaction.url,
      bodies: 'transactions',
      warmedUp: async () => {}, // what is due in 30 s disturbs nobody now
      afterwards,
    })
  },
}

async function afterwards({ backend, sql, run, load, died }: BurstOnSystem): Promise<Aftermath> {
  const ledger = ledgerVerdict(await checkLedger(sql, run, load))
  // Only Redis promises when a burst is done; the PostgreSQL queue takes minutes for it, late but never lost.
  if (backend !== 'redis') return { ledger }
  await untilDone(sql, transactionWork, died)
  const lateness = await processingLateness(sql, run, PROCESSING_DELAY_MS)
  const { lastProcessed, p50, max } = lateness
  return {
    ledger,
    lateness,
    note: `the last transaction was processed ${seconds(lastProcessed)} after its due time (p50 ${seconds(p50)}, max ${seconds(max)})`,
  }
}
