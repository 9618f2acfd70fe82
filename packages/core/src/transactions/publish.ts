// Publishing a processed transaction to the merchant who owns its destination account, in the commit that processes it.
import type { Transaction } from '@sluice/contracts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { type Publication, prepareDeliveries } from '../webhooks/index.ts'

type ProcessedRow = readonly [
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

/** What the commit writes for these rows; undefined when no merchant gets a webhook. */
export function publishProcessed(webhooks: Enqueuer, rows: ReadonlyArray<readonly unknown[]>) {
  const publications = (rows as readonly ProcessedRow[]).flatMap(publicationsOf)
  return publications.length === 0 ? undefined : prepareDeliveries(webhooks, publications)
}

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
