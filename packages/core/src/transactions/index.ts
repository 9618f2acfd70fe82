// Transactions: record → (queue) → finish, and read.
export { processTransactionJob, transactionWork } from './jobs.ts'
export { findTransaction, listTransactions } from './read.ts'
export { createTransactionRecorder, type RecordOutcome, type TransactionRecorder } from './record.ts'
export { tellProcessed } from './tell.ts'
