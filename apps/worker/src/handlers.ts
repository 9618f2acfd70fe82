// The table of contents of the worker: every job and the core verb that handles it.
import {
  type Bank,
  type CompleterDeps,
  createPaymentEventHandler,
  createPaymentHandler,
  createRefundHandler,
  createTransactionHandler,
  createWakeUpHandler,
  type DeliveryLoop,
  type Enqueuer,
  type ExternalPaymentsOwner,
  type JobHandlers,
  jobs,
  type Queueing,
} from '@sluice/core'

export interface HandlerDeps extends CompleterDeps {
  webhooks: Enqueuer
  owner: ExternalPaymentsOwner
  bank: Bank
  deliveryLoop: DeliveryLoop
}

export const createHandlers = (deps: HandlerDeps): JobHandlers => ({
  processTransaction: createTransactionHandler(deps),
  publishPaymentEvent: createPaymentEventHandler(deps),
  processPayment: createPaymentHandler(deps),
  processRefund: createRefundHandler(deps),
  wakeUpEndpoint: createWakeUpHandler(deps),
})

/** A kind of job may have a lower limit than `concurrency` if each of its handlers holds a database connection. */
export function consumeJobs(queueing: Queueing, handlers: JobHandlers, concurrency: number): void {
  for (const name of Object.keys(jobs) as Array<keyof JobHandlers>) {
    const job = jobs[name]
    queueing.consume(job, handlers[name], { concurrency: Math.min(concurrency, job.concurrencyMax) })
  }
}
