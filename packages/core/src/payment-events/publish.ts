// Publishing a payment event: if it changed its payment's status, the owner of external payments gets a webhook, once.
import type { ExternalPaymentsOwner } from '../merchants/index.ts'
import { type CompleterDeps, createCompleter } from '../platform/complete.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import type { JobHandler } from '../platform/job.ts'
import { type Publication, prepareDeliveries } from '../webhooks/index.ts'
import { paymentEventWork } from './jobs.ts'
import { unpackSnapshot } from './snapshot.ts'

/** The merchant is null where the status did not change, and where the owner ($2) has no webhook URL. */
const COMPLETE_EVENTS = `
  WITH due AS (
    SELECT event_id FROM payment_events
    WHERE event_id = ANY($1::text[]) AND followed_up_at IS NULL AND received_at <= now()
    ORDER BY event_id FOR UPDATE
  )
  UPDATE payment_events AS e SET followed_up_at = now() FROM due WHERE e.event_id = due.event_id
  RETURNING e.event_id, e.request_id, e.payment_id, e.ordinal, e.payment_snapshot,
            CASE WHEN e.status_changed THEN (
              SELECT m.id FROM merchants m WHERE m.id = $2::uuid AND m.webhook_url IS NOT NULL)
            END`

interface PublishDeps extends CompleterDeps {
  /** Wakes up the delivery loop after the commit. */
  webhooks: Enqueuer
  owner: ExternalPaymentsOwner
}

/** The handler of payment events' jobs: completes the row and writes the webhook in one commit. */
export const createPaymentEventHandler = (deps: PublishDeps): JobHandler =>
  createCompleter(deps, paymentEventWork, {
    update: COMPLETE_EVENTS,
    parameters: async () => [(await deps.owner.id()) ?? null],
    publish: (rows) => publishStatusChanges(deps.webhooks, rows),
  })

type PublishedRow = readonly [
  eventId: string,
  requestId: string,
  paymentId: string,
  ordinal: number,
  snapshot: string,
  merchantId: string | null,
]

function publishStatusChanges(webhooks: Enqueuer, rows: ReadonlyArray<readonly unknown[]>) {
  const publications = (rows as readonly PublishedRow[]).flatMap(publicationsOf)
  return publications.length === 0 ? undefined : prepareDeliveries(webhooks, publications)
}

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
