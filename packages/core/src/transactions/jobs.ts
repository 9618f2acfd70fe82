// The job of a transaction, and its table as the dispatcher sees it.
import type { WorkTable } from '../platform/dispatcher.ts'
import { defineJob } from '../platform/queue.ts'

export const processTransactionJob = defineJob({ queue: 'transactions' })

export const transactionWork: WorkTable = {
  kind: 'transaction',
  job: processTransactionJob,
  table: 'transactions',
  idColumn: 'transaction_id',
  open: 'processed_at IS NULL',
}
