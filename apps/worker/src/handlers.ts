// Which verb handles which job: a line each.
import {
  type Finisher,
  followUpPaymentEventJob,
  type JobHandler,
  processPaymentJob,
  processRefundJob,
  processTransactionJob,
  type Queueing,
  webhookWork,
} from '@sluice/core'

export interface Handlers {
  queueing: Queueing
  transactions: Finisher
  paymentEvents: Finisher
  processPayment: JobHandler
  processRefund: JobHandler
  ringWebhook: JobHandler
  concurrency: number
}

/** Payments and refunds each hold a database connection while they are in hand, which shared commits don't. */
const TRANSACTIONS_AT_ONCE_MAX = 20

export function handleJobs(handlers: Handlers): void {
  const { queueing, transactions, paymentEvents, concurrency } = handlers
  const { processPayment, processRefund, ringWebhook } = handlers
  const few = { concurrency: Math.min(concurrency, TRANSACTIONS_AT_ONCE_MAX) }
  queueing.consume(processTransactionJob, transactions.finish, { concurrency })
  queueing.consume(followUpPaymentEventJob, paymentEvents.finish, { concurrency })
  queueing.consume(processPaymentJob, processPayment, few)
  queueing.consume(processRefundJob, processRefund, few)
  queueing.consume(webhookWork.job, ringWebhook, { concurrency })
}
