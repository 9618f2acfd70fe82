// The job of a payment event, which publishes it, and its table as the dispatcher sees it.
import { defineJob } from '../platform/job.ts'
import type { WorkTable } from '../platform/work-table.ts'

export const publishPaymentEventJob = defineJob({ queue: 'payment-events' })

export const paymentEventWork: WorkTable = {
  kind: 'payment_event',
  job: publishPaymentEventJob,
  table: 'payment_events',
  idColumn: 'event_id',
  dueColumn: 'received_at',
  doneColumn: 'followed_up_at',
  givesWayForMs: 10_000,
}
