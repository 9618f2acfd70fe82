// Recording a delivered transaction: the first delivery wins, and what later ones say differently is told.
import { majorAmountProblem, type TransactionRequest } from '@sluice/contracts'
import { createIngest, type InboundEvent, type IngestDeps, type Stored } from '../inbound/ingest.ts'
import { differingFields } from '../inbound/redeliveries.ts'
import type { Database } from '../platform/database.ts'
import { badRequest } from '../platform/errors.ts'
import { textArray } from '../platform/text-array.ts'
import { createInserter, type InsertTransactions } from './insert.ts'
import { processTransactionJob } from './jobs.ts'

export interface RecorderDeps extends IngestDeps {
  /** How long the simulated external processing takes. */
  processingDelayMs: number
}

export interface InboundTransaction extends TransactionRequest, InboundEvent {}

export type RecordOutcome = Stored['outcome']

export interface TransactionRecorder {
  /**
   * Resolves once the delivery is durable. Rejects with BAD_REQUEST_ERROR for a wrong currency or amount, and
   * SERVICE_UNAVAILABLE, in under a second, when it cannot be stored.
   */
  record: (delivery: InboundTransaction) => Promise<RecordOutcome>
  drain: () => Promise<void>
}

const ACCEPTED: Stored = { outcome: 'accepted' }
const DUPLICATE: Stored = { outcome: 'duplicate' }

export function createTransactionRecorder(deps: RecorderDeps): TransactionRecorder {
  const { db, processingDelayMs } = deps
  const insertNew = createInserter(db, processingDelayMs)
  const ingest = createIngest<InboundTransaction, Stored>(deps, {
    kind: 'transaction',
    job: processTransactionJob,
    delayMs: processingDelayMs,
    idOf: (delivery) => delivery.transaction_id,
    contractText: (delivery) => JSON.stringify(contractFields.map((name) => delivery[name])),
    sizeBytes: (delivery) =>
      delivery.transaction_id.length + delivery.source_account.length + delivery.destination_account.length,
    store: (deliveries, enqueueNow) => storeTransactions(db, insertNew, deliveries, enqueueNow),
  })
  return {
    async record(delivery) {
      const problem = majorAmountProblem(delivery.amount, delivery.currency)
      if (problem !== undefined) throw badRequest(problem)
      return (await ingest.submit(delivery)).outcome
    },
    drain: ingest.drain,
  }
}

/** First deliveries in one statement, then, if any were redeliveries, a look at what they say differently. */
async function storeTransactions(
  db: Database,
  insertNew: InsertTransactions,
  deliveries: readonly InboundTransaction[],
  enqueueNow: boolean,
): Promise<Stored[]> {
  const firsts = firstOfEachId(deliveries)
  const insertedCount = await insertNew(firsts, enqueueNow)
  if (insertedCount === deliveries.length) return deliveries.map(() => ACCEPTED)
  const stored = await readStored(db, firsts)
  return deliveries.map((delivery) => {
    const first = stored.get(delivery.transaction_id)!
    if (first.requestId === delivery.requestId) return ACCEPTED
    const fields = differingFields(contractFields, first, delivery)
    return fields.length === 0 ? DUPLICATE : { outcome: 'conflict', fields }
  })
}

/** The group's ids once each, sorted: statements that share ids in different order would deadlock. */
function firstOfEachId(deliveries: readonly InboundTransaction[]): InboundTransaction[] {
  const sorted = deliveries.toSorted((a, b) =>
    a.transaction_id < b.transaction_id ? -1 : a.transaction_id > b.transaction_id ? 1 : 0,
  )
  return sorted.filter((delivery, i) => delivery.transaction_id !== sorted[i - 1]?.transaction_id)
}

const contractFields = ['source_account', 'destination_account', 'amount', 'currency'] as const

/** What the first delivery of an id said, and which request it was. */
type FirstDelivery = Pick<InboundTransaction, (typeof contractFields)[number] | 'requestId'>

async function readStored(
  db: Database,
  deliveries: readonly InboundTransaction[],
): Promise<Map<string, FirstDelivery>> {
  const { rows } = await db.batch({
    name: 'stored-transactions',
    text: `
      SELECT transaction_id, request_id, source_account, destination_account, amount::text, currency
      FROM transactions WHERE transaction_id = ANY($1::text[])`,
    values: [textArray(deliveries, (delivery) => delivery.transaction_id)],
  })
  return new Map(
    (rows as Array<[string, string, string, string, string, string]>).map(
      ([id, requestId, source_account, destination_account, amount, currency]) => [
        id,
        { requestId, source_account, destination_account, amount: Number(amount), currency },
      ],
    ),
  )
}
