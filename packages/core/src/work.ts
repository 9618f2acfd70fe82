// What all features hand to the platform: their work tables, and their cleanup tasks.
import { oldConflictPayloads } from './inbound/cleanup.ts'
import { expiredSessions } from './merchants/cleanup.ts'
import { oldPaymentEventPayloads } from './payment-events/cleanup.ts'
import { paymentEventWork } from './payment-events/jobs.ts'
import { paymentWork, refundWork } from './payments/jobs.ts'
import { deadHeartbeats } from './platform/heartbeat.ts'
import type { CleanupTask } from './platform/housekeeping.ts'
import { expiredIdempotencyKeys } from './platform/idempotency.ts'
import type { WorkTable } from './platform/work-table.ts'
import { oldTransactionPayloads } from './transactions/cleanup.ts'
import { transactionWork } from './transactions/jobs.ts'
import { oldWebhookAttempts, oldWebhookSecrets } from './webhooks/cleanup.ts'

/** The tables that dispatchers read and metrics count. */
export const allWork: readonly WorkTable[] = [transactionWork, paymentEventWork, paymentWork, refundWork]

/** Without `retentionDays`, raw payloads and webhook attempts stay for ever. */
export const allCleanupTasks = (retentionDays: number | undefined): CleanupTask[] => [
  deadHeartbeats,
  oldWebhookSecrets,
  expiredSessions,
  expiredIdempotencyKeys,
  ...(retentionDays === undefined ? [] : retentionTasks(retentionDays)),
]

const retentionTasks = (retentionDays: number): CleanupTask[] => [
  oldTransactionPayloads(retentionDays),
  oldPaymentEventPayloads(retentionDays),
  oldConflictPayloads(retentionDays),
  oldWebhookAttempts(retentionDays),
]
