// The job of a webhook: a bell that says "this merchant's endpoint has something due". The delivery itself is a row.
import { defineJob } from '../platform/queue.ts'
import type { WorkTable } from '../platform/work-table.ts'

const deliverWebhookJob = defineJob({ queue: 'webhooks' })

/** For gauges and counts; the delivery loop finds what is due by itself. */
export const webhookWork: WorkTable = {
  kind: 'webhook',
  job: deliverWebhookJob,
  table: 'webhook_logs',
  idColumn: 'id',
  dueColumn: 'next_retry_at',
  doneColumn: 'settled_at',
  openWhen: "status = 'pending'",
  failedWhen: "status = 'failed'",
  givesWayForMs: 0,
}

/** The merchant goes with the delivery, so that the bell needs no look at the database. */
export const bellOf = (merchantId: string, deliveryId: string): string => `${merchantId} ${deliveryId}`

export const merchantOfBell = (bell: string): string => bell.split(' ')[0] ?? ''
