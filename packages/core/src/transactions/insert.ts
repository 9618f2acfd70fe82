// The INSERT of a commit's deliveries: what is not there yet, in one statement.
import { watchRedeliveries } from '../inbound/redeliveries.ts'
import type { Database } from '../platform/database.ts'
import { isUniqueViolation } from '../platform/errors.ts'
import { textArray } from '../platform/text-array.ts'
import type { InboundTransaction } from './record.ts'

/**
 * Inserts the rows whose ids are not there yet and answers how many that were; which, their request ids tell. The rows
 * are sorted by id and have no id twice. `enqueueNow` says whether the caller rings for their jobs right behind the
 * commit; an UPDATE after the enqueue would cost more than the enqueue (measured).
 */
export type InsertTransactions = (rows: readonly InboundTransaction[], enqueueNow: boolean) => Promise<number>

/**
 * ON CONFLICT makes PostgreSQL look each id up before it inserts it and confirm it after, a sixth of the statement's
 * cost (measured). While no redeliveries come the plain INSERT does: the key refuses them just as well, only the whole
 * statement with them, which is then said again with ON CONFLICT.
 */
export function createInserter(db: Database, processingDelayMs: number): InsertTransactions {
  const redeliveries = watchRedeliveries()

  async function insert(rows: readonly InboundTransaction[], enqueueNow: boolean, plain: boolean) {
    const { rowCount } = await db.batch({
      name: plain ? 'insert-transactions' : 'insert-new-transactions',
      text: plain ? insertSql : `${insertSql} ON CONFLICT (transaction_id) DO NOTHING`,
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

  return async function insertTransactions(rows, enqueueNow) {
    if (!redeliveries.areExpected()) {
      try {
        return await insert(rows, enqueueNow, true)
      } catch (error) {
        if (!isUniqueViolation(error)) throw error
      }
    }
    const count = await insert(rows, enqueueNow, false)
    if (count < rows.length) redeliveries.seen()
    return count
  }
}

const insertSql = `
  INSERT INTO transactions (transaction_id, source_account, destination_account, amount, currency, payload,
                            request_id, due_at, enqueued_at)
  SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[])::numeric,
         unnest($5::text[]), unnest($6::text[]), unnest($7::text[]),
         now() + $8::float8 * interval '1 millisecond', CASE WHEN $9::boolean THEN now() END`
