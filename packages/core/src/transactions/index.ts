// Transactions: record → (queue) → finish, and read.
export { processTransactionJob, transactionWork } from './jobs.ts'
export { publishProcessed } from './publish.ts'
export { findTransaction, listTransactions } from './read.ts'
export { createTransactionRecorder, type RecordOutcome, type TransactionRecorder } from './record.ts'
