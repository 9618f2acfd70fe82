// Which verb handles which job: a line each.
import { processTransactionJob, type Queueing, type TransactionProcessor } from '@sluice/core'

export interface Handlers {
  queueing: Queueing
  transactions: TransactionProcessor
  concurrency: number
}

export function handleJobs({ queueing, transactions, concurrency }: Handlers): void {
  queueing.consume(processTransactionJob, transactions.processTransaction, { concurrency })
}
