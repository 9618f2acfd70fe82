// The job of a transaction, and its table as the dispatcher sees it.
import { defineJob } from '../platform/job.ts'
import type { WorkTable } from '../platform/work-table.ts'

export const processTransactionJob = defineJob({ queue: 'transactions' })

export const transactionWork: WorkTable = {
  kind: 'transaction',
  job: processTransactionJob,
  table: 'transactions',
  idColumn: 'transaction_id',
  dueColumn: 'due_at',
  doneColumn: 'processed_at',
  givesWayForMs: 0,
}
