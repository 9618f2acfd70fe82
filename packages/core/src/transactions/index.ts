// Transactions: record, then process (by a job), and read.
export { processTransactionJob, transactionWork } from './jobs.ts'
export { createTransactionHandler } from './process.ts'
export { findTransaction, listTransactions } from './read.ts'
export { createTransactionRecorder, type RecordOutcome, type TransactionRecorder } from './record.ts'
