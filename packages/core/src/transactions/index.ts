// Transactions: record → (queue) → process, and read.
export { listTransactionConflicts } from './conflicts.ts'
export { processTransactionJob, transactionWork } from './jobs.ts'
export { createTransactionProcessor, type TransactionProcessor } from './process.ts'
export { findTransaction, listTransactions } from './read.ts'
export { createTransactionRecorder, type RecordOutcome, type TransactionRecorder } from './record.ts'
