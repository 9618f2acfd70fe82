// Cleanup of raw payloads of published payment events.
import { oldPayloads } from '../inbound/index.ts'

export const oldPaymentEventPayloads = (retentionDays: number) =>
  oldPayloads(retentionDays, {
    table: 'payment_events',
    idColumn: 'event_id',
    receivedColumn: 'received_at',
    doneColumn: 'followed_up_at',
  })
