// Cleanup of raw payloads of processed transactions.
import { oldPayloads } from '../inbound/index.ts'

export const oldTransactionPayloads = (retentionDays: number) =>
  oldPayloads(retentionDays, {
    table: 'transactions',
    idColumn: 'transaction_id',
    receivedColumn: 'created_at',
    doneColumn: 'processed_at',
  })
