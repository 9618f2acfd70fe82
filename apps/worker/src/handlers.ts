// The job handlers: every job, and the function of core that handles it.
import {
  type CompleterDeps,
  createPaymentEventPublisher,
  createPaymentHandler,
  createRefundHandler,
  createTransactionProcessor,
  type Enqueuer,
  type ExternalPaymentsOwner,
  type JobHandler,
  type JobHandlers,
  jobs,
  type PaymentProcessor,
  type Queueing,
} from '@sluice/core'

export interface HandlerDeps extends CompleterDeps {
  webhooks: Enqueuer
  owner: ExternalPaymentsOwner
  bank: PaymentProcessor
  wakeUpEndpoint: JobHandler
}

export interface Handlers {
  handlers: JobHandlers
  /** Waits until the commits of running handlers have ended. */
  drain: () => Promise<void>
}

export function createHandlers(deps: HandlerDeps): Handlers {
  const transactions = createTransactionProcessor(deps)
  const paymentEvents = createPaymentEventPublisher(deps)
  return {
    handlers: {
      processTransaction: transactions.complete,
      publishPaymentEvent: paymentEvents.complete,
      processPayment: createPaymentHandler(deps),
      processRefund: createRefundHandler(deps),
      wakeUpEndpoint: deps.wakeUpEndpoint,
    },
    async drain() {
      await transactions.drain()
      await paymentEvents.drain()
    },
  }
}

/** A kind of job may have a lower limit than `concurrency` if each of its handlers holds a database connection. */
export function consumeJobs(queueing: Queueing, handlers: JobHandlers, concurrency: number): void {
  for (const name of Object.keys(jobs) as Array<keyof JobHandlers>) {
    const job = jobs[name]
    queueing.consume(job, handlers[name], { concurrency: Math.min(concurrency, job.concurrencyMax) })
  }
}
