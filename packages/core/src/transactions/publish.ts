// Publishing a processed transaction to the merchant who owns its destination account, in the commit that processes it.
import type { Transaction } from '@sluice/contracts'
import type { CompletionHook } from '../platform/complete.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { type Publication, prepareDeliveries } from '../webhooks/index.ts'

/** The merchant is null where the account has none, or where it has no webhook URL. */
const RETURNING = `
  work.source_account, work.destination_account, work.amount::text, work.currency, work.created_at, work.processed_at,
  (SELECT a.merchant_id FROM merchant_accounts a JOIN merchants m ON m.id = a.merchant_id AND m.webhook_url IS NOT NULL
   WHERE a.account = work.destination_account)`

type ProcessedRow = [
  id: string,
  requestId: string,
  sourceAccount: string,
  destinationAccount: string,
  amount: string,
  currency: string,
  createdAt: Date,
  processedAt: Date,
  merchantId: string | null,
]

export const publishProcessed = (webhooks: Enqueuer): CompletionHook => ({
  returning: RETURNING,
  write(rows) {
    const publications = (rows as ReadonlyArray<readonly unknown[]> as readonly ProcessedRow[]).flatMap(
      publicationsOf,
    )
    return publications.length === 0 ? undefined : prepareDeliveries(webhooks, publications)
  },
})

function publicationsOf(row: ProcessedRow): Publication[] {
  const [id, requestId, source, destination, amount, currency, createdAt, processedAt, merchantId] = row
  if (merchantId === null) return []
  const transaction: Transaction = {
    transaction_id: id,
    source_account: source,
    destination_account: destination,
    amount: Number(amount),
    currency,
    status: 'PROCESSED',
    created_at: createdAt.toISOString(),
    processed_at: processedAt.toISOString(),
  }
  return [{ merchantId, event: 'transaction.processed', data: { transaction }, requestId }]
}
