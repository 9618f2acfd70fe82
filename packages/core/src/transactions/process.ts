// Processing a transaction: once it is due, its row is completed and its webhook published, in one commit.
import { type CompleterDeps, createCompleter } from '../platform/complete.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import type { JobHandler } from '../platform/job.ts'
import { transactionWork } from './jobs.ts'
import { publishProcessed } from './publish.ts'

/** The merchant is null where the destination account has none, or where it has no webhook URL. */
const COMPLETE_TRANSACTIONS = `
  WITH due AS (
    SELECT transaction_id FROM transactions
    WHERE transaction_id = ANY($1::text[]) AND processed_at IS NULL AND due_at <= now()
    ORDER BY transaction_id FOR UPDATE
  )
  UPDATE transactions AS t SET processed_at = now() FROM due WHERE t.transaction_id = due.transaction_id
  RETURNING t.transaction_id, t.request_id, t.source_account, t.destination_account, t.amount::text, t.currency,
            t.created_at, t.processed_at,
            (SELECT a.merchant_id FROM merchant_accounts a
             JOIN merchants m ON m.id = a.merchant_id AND m.webhook_url IS NOT NULL
             WHERE a.account = t.destination_account)`

/** The handler of transactions' jobs. `webhooks` wakes up the delivery loop after the commit. */
export const createTransactionHandler = (deps: CompleterDeps & { webhooks: Enqueuer }): JobHandler =>
  createCompleter(deps, transactionWork, {
    update: COMPLETE_TRANSACTIONS,
    publish: (rows) => publishProcessed(deps.webhooks, rows),
  })
