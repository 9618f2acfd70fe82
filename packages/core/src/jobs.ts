// Every job there is, named by what its handler does.
import { publishPaymentEventJob } from './payment-events/jobs.ts'
import { processPaymentJob, processRefundJob } from './payments/jobs.ts'
import type { JobHandler } from './platform/job.ts'
import { processTransactionJob } from './transactions/jobs.ts'
import { webhookWork } from './webhooks/jobs.ts'

export const jobs = {
  processTransaction: processTransactionJob,
  publishPaymentEvent: publishPaymentEventJob,
  processPayment: processPaymentJob,
  processRefund: processRefundJob,
  wakeUpEndpoint: webhookWork.job,
}

/** A handler for every job: a job without one does not compile. */
export type JobHandlers = Record<keyof typeof jobs, JobHandler>
