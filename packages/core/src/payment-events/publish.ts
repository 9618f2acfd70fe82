// Telling the merchant whose external payments these are of a changed status, with the payment as it was right after the event.
import { SEEDED_MERCHANT_ID } from '../merchants/seed.ts'
import type { CompletionHook } from '../platform/complete.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { type Publication, prepareDeliveries } from '../webhooks/index.ts'
import { unpackSnapshot } from './snapshot.ts'

/** For the completer of payment events. `ownerEmail`: the merchant's whom they belong to; by default the seeded one. */
export const publishChanged = (webhooks: Enqueuer, ownerEmail: string | undefined): CompletionHook => ({
  columns: `
    work.payment_id, work.ordinal, work.payment_snapshot,
    CASE WHEN work.status_changed THEN (
      SELECT m.id FROM merchants m
      WHERE ${ownerEmail === undefined ? `m.id = '${SEEDED_MERCHANT_ID}'` : `m.email = ${quoted(ownerEmail)}`} AND m.webhook_url IS NOT NULL)
    END`,
  write(rows) {
    const publications = rows.filter((row) => row.at(-1) !== null).map(publicationOf)
    return publications.length === 0 ? undefined : prepareDeliveries(webhooks, publications)
  },
})

function publicationOf(row: readonly unknown[]): Publication {
  const [, requestId, paymentId, ordinal, snapshot, merchantId] = row as [
    string,
    string,
    string,
    number,
    string,
    string,
  ]
  const payment = unpackSnapshot(paymentId, ordinal, snapshot)
  return { merchantId, event: `external_payment.${payment.status}`, data: { payment }, requestId }
}

/** As a literal of SQL: it comes from the operator's configuration, whose addresses may hold quotes. */
const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`
