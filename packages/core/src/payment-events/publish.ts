// Publishing a payment event: if it changed its payment's status, the owner of external payments gets a webhook, once.
import type { ExternalPaymentsOwner } from '../merchants/index.ts'
import {
  type Completer,
  type CompleterDeps,
  type CompletionHook,
  createCompleter,
} from '../platform/complete.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { type Publication, prepareDeliveries } from '../webhooks/index.ts'
import { paymentEventWork } from './jobs.ts'
import { unpackSnapshot } from './snapshot.ts'

export interface PublisherDeps extends CompleterDeps {
  /** Wakes up the delivery loop after the commit. */
  webhooks: Enqueuer
  owner: ExternalPaymentsOwner
}

/** The handler of payment events' jobs: completes the row and writes the webhook in one commit. */
export const createPaymentEventPublisher = (deps: PublisherDeps): Completer =>
  createCompleter(deps, paymentEventWork, publishStatusChange(deps))

/** The merchant is null where the status did not change, and where the owner ($2) has no webhook URL. */
const RETURNING = `
  work.payment_id, work.ordinal, work.payment_snapshot,
  CASE WHEN work.status_changed THEN (
    SELECT m.id FROM merchants m WHERE m.id = $2::uuid AND m.webhook_url IS NOT NULL)
  END`

type PublishedRow = [
  eventId: string,
  requestId: string,
  paymentId: string,
  ordinal: number,
  snapshot: string,
  merchantId: string | null,
]

const publishStatusChange = ({ webhooks, owner }: PublisherDeps): CompletionHook => ({
  returning: RETURNING,
  parameters: async () => [(await owner.id()) ?? null],
  write(rows) {
    const publications = (rows as ReadonlyArray<readonly unknown[]> as readonly PublishedRow[]).flatMap(
      publicationsOf,
    )
    return publications.length === 0 ? undefined : prepareDeliveries(webhooks, publications)
  },
})

function publicationsOf([
  ,
  requestId,
  paymentId,
  ordinal,
  snapshot,
  merchantId,
]: PublishedRow): Publication[] {
  if (merchantId === null) return []
  const payment = unpackSnapshot(paymentId, ordinal, snapshot)
  return [{ merchantId, event: `external_payment.${payment.status}`, data: { payment }, requestId }]
}
