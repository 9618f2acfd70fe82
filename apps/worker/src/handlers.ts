// Which verb handles which job: a line each.
import { type Finisher, followUpPaymentEventJob, processTransactionJob, type Queueing } from '@sluice/core'

export interface Handlers {
  queueing: Queueing
  transactions: Finisher
  paymentEvents: Finisher
  concurrency: number
}

export function handleJobs({ queueing, transactions, paymentEvents, concurrency }: Handlers): void {
  queueing.consume(processTransactionJob, transactions.finish, { concurrency })
  queueing.consume(followUpPaymentEventJob, paymentEvents.finish, { concurrency })
}
