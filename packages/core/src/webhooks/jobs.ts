// The job of a webhook: it wakes the delivery loop up for one merchant's endpoint. The delivery itself is a row.
import { defineJob } from '../platform/job.ts'
import type { WorkTable } from '../platform/work-table.ts'

const deliverWebhookJob = defineJob({ queue: 'webhooks' })

/** For gauges and counts; the delivery loop finds due rows by itself. */
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

/** The job's row id. It holds the merchant's id, so that a wake-up needs no query. */
export const wakeUpId = (merchantId: string, deliveryId: string): string => `${merchantId} ${deliveryId}`

export const merchantOfWakeUp = (id: string): string => id.split(' ')[0] ?? ''
