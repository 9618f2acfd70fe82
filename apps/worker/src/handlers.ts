// Which verb handles which job: a line each.
import {
  type Completer,
  type JobHandler,
  processPaymentJob,
  processRefundJob,
  processTransactionJob,
  publishPaymentEventJob,
  type Queueing,
  webhookWork,
} from '@sluice/core'

export interface Handlers {
  queueing: Queueing
  transactions: Completer
  paymentEvents: Completer
  processPayment: JobHandler
  processRefund: JobHandler
  wakeUpEndpoint: JobHandler
  concurrency: number
}

/** Payments and refunds each hold a database connection while they are in hand, which shared commits don't. */
const TRANSACTIONS_AT_ONCE_MAX = 20

export function handleJobs(handlers: Handlers): void {
  const { queueing, transactions, paymentEvents, concurrency } = handlers
  const { processPayment, processRefund, wakeUpEndpoint } = handlers
  const few = { concurrency: Math.min(concurrency, TRANSACTIONS_AT_ONCE_MAX) }
  queueing.consume(processTransactionJob, transactions.complete, { concurrency })
  queueing.consume(publishPaymentEventJob, paymentEvents.complete, { concurrency })
  queueing.consume(processPaymentJob, processPayment, few)
  queueing.consume(processRefundJob, processRefund, few)
  queueing.consume(webhookWork.job, wakeUpEndpoint, { concurrency })
}
