// Telling the merchant who owns the destination account that a transaction is processed, in the commit that processes it.
import type { Transaction } from '@sluice/contracts'
import type { CompletionHook } from '../platform/complete.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { type Publication, prepareDeliveries } from '../webhooks/index.ts'

/** For the completer of transactions. */
export const publishProcessed = (webhooks: Enqueuer): CompletionHook => ({
  columns: `
    work.source_account, work.destination_account, work.amount::text, work.currency, work.created_at, work.processed_at,
    (SELECT a.merchant_id FROM merchant_accounts a JOIN merchants m ON m.id = a.merchant_id AND m.webhook_url IS NOT NULL
     WHERE a.account = work.destination_account)`,
  write(rows) {
    const publications = rows.filter((row) => row.at(-1) !== null).map(publicationOf)
    return publications.length === 0 ? undefined : prepareDeliveries(webhooks, publications)
  },
})

function publicationOf(row: readonly unknown[]): Publication {
  const [id, requestId, source, destination, amount, currency, createdAt, processedAt, merchantId] = row as [
    string,
    string,
    string,
    string,
    string,
    string,
    Date,
    Date,
    string,
  ]
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
  return { merchantId, event: 'transaction.processed', data: { transaction }, requestId }
}
