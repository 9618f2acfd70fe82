// The jobs of payments and refunds, and their work tables.
import { defineJob } from '../platform/job.ts'
import type { WorkTable } from '../platform/work-table.ts'

/** Payments and refunds each hold a database connection while a handler works on them. */
const concurrencyMax = 20

export const processPaymentJob = defineJob({ queue: 'payments', concurrencyMax })
export const processRefundJob = defineJob({ queue: 'refunds', concurrencyMax })

export const paymentWork: WorkTable = {
  kind: 'payment',
  job: processPaymentJob,
  table: 'payments',
  idColumn: 'id',
  dueColumn: 'due_at',
  doneColumn: 'settled_at',
  failedWhen: "status = 'failed'",
  givesWayForMs: 0,
}

export const refundWork: WorkTable = {
  ...paymentWork,
  kind: 'refund',
  job: processRefundJob,
  table: 'refunds',
}
