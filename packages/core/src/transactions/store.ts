// Storing a group of transactions: one INSERT for what is new, then a comparison for what was known.
import type { TransactionRequest } from '@sluice/contracts'
import { createDuplicateWatch, differingFields, type InboundEvent, type Stored } from '../inbound/index.ts'
import type { Database } from '../platform/database.ts'
import { isUniqueViolation } from '../platform/errors.ts'
import { textArray } from '../platform/text-array.ts'

export interface InboundTransaction extends TransactionRequest, InboundEvent {}

/**
 * Stores new events, and returns one result for each event. The events are in order of arrival; ids may occur twice.
 * `enqueueNow`: the caller enqueues the new rows right behind the commit. The INSERT sets `enqueued_at` then, since an
 * UPDATE after the enqueue would cost more than the enqueue (measured).
 */
type StoreTransactions = (events: readonly InboundTransaction[], enqueueNow: boolean) => Promise<Stored[]>

export const contractFields = ['source_account', 'destination_account', 'amount', 'currency'] as const

const ACCEPTED: Stored = { outcome: 'accepted' }
const DUPLICATE: Stored = { outcome: 'duplicate' }

export function createTransactionStore(db: Database, processingDelayMs: number): StoreTransactions {
  const insertNew = createInserter(db, processingDelayMs)
  return async function storeTransactions(events, enqueueNow) {
    const firsts = firstOfEachId(events)
    const insertedCount = await insertNew(firsts, enqueueNow)
    if (insertedCount === events.length) return events.map(() => ACCEPTED)
    const stored = await readStored(db, firsts)
    return events.map((event) => {
      const first = stored.get(event.transaction_id)!
      if (first.requestId === event.requestId) return ACCEPTED
      const fields = differingFields(contractFields, first, event)
      return fields.length === 0 ? DUPLICATE : { outcome: 'conflict', fields }
    })
  }
}

/** The group's ids once each, sorted: statements that share ids in different order would deadlock. */
function firstOfEachId(events: readonly InboundTransaction[]): InboundTransaction[] {
  const sorted = events.toSorted((a, b) =>
    a.transaction_id < b.transaction_id ? -1 : a.transaction_id > b.transaction_id ? 1 : 0,
  )
  return sorted.filter((event, i) => event.transaction_id !== sorted[i - 1]?.transaction_id)
}

const INSERT_TRANSACTIONS = `
  INSERT INTO transactions (transaction_id, source_account, destination_account, amount, currency, payload,
                            request_id, due_at, enqueued_at)
  SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[])::numeric,
         unnest($5::text[]), unnest($6::text[]), unnest($7::text[]),
         now() + $8::float8 * interval '1 millisecond', CASE WHEN $9::boolean THEN now() END`

const INSERT_UNKNOWN_TRANSACTIONS = `${INSERT_TRANSACTIONS} ON CONFLICT (transaction_id) DO NOTHING`

/**
 * Optimistic insert. ON CONFLICT makes PostgreSQL look each id up before it inserts it and confirm it after, a sixth of
 * the statement's cost (measured). While no duplicates are expected, a plain INSERT is tried first; on a unique
 * violation the statement is repeated with ON CONFLICT. Returns how many rows were inserted.
 */
function createInserter(db: Database, processingDelayMs: number) {
  const duplicates = createDuplicateWatch()

  async function insert(
    name: string,
    text: string,
    rows: readonly InboundTransaction[],
    enqueueNow: boolean,
  ) {
    const { rowCount } = await db.batch({
      name,
      text,
      values: [
        textArray(rows, (row) => row.transaction_id),
        textArray(rows, (row) => row.source_account),
        textArray(rows, (row) => row.destination_account),
        textArray(rows, (row) => String(row.amount)),
        textArray(rows, (row) => row.currency),
        textArray(rows, (row) => row.payload),
        textArray(rows, (row) => row.requestId),
        processingDelayMs,
        enqueueNow,
      ],
    })
    return rowCount
  }

  return async function insertNew(rows: readonly InboundTransaction[], enqueueNow: boolean): Promise<number> {
    if (!duplicates.areExpected()) {
      try {
        return await insert('insert-transactions', INSERT_TRANSACTIONS, rows, enqueueNow)
      } catch (error) {
        if (!isUniqueViolation(error)) throw error
      }
    }
    const count = await insert('insert-unknown-transactions', INSERT_UNKNOWN_TRANSACTIONS, rows, enqueueNow)
    if (count < rows.length) duplicates.seen()
    return count
  }
}

/** The contract fields of an id's first event, and its request. */
type FirstEvent = Pick<InboundTransaction, (typeof contractFields)[number] | 'requestId'>

const READ_STORED = `
  SELECT transaction_id, request_id, source_account, destination_account, amount::text, currency
  FROM transactions WHERE transaction_id = ANY($1::text[])`

async function readStored(
  db: Database,
  events: readonly InboundTransaction[],
): Promise<Map<string, FirstEvent>> {
  const { rows } = await db.batch({
    name: 'stored-transactions',
    text: READ_STORED,
    values: [textArray(events, (event) => event.transaction_id)],
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
