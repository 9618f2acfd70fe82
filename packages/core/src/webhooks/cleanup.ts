// Cleanup of expired webhook secrets, and of attempts of settled deliveries.
import type { CleanupTask } from '../platform/housekeeping.ts'

/** Removes secrets that a rotation replaced, once their day of overlap has passed. */
export const oldWebhookSecrets: CleanupTask = {
  name: 'old webhook secrets',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    DELETE FROM previous_webhook_secrets WHERE (merchant_id, secret) IN (
      SELECT merchant_id, secret FROM previous_webhook_secrets
      WHERE expires_at <= now() LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED)`,
}

/** Removes old attempts of settled deliveries. The delivery stays, with its last response. */
export const oldWebhookAttempts = (retentionDays: number): CleanupTask => ({
  name: 'old webhook attempts',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    DELETE FROM webhook_attempts WHERE (delivery_id, number) IN (
      SELECT a.delivery_id, a.number FROM webhook_attempts a JOIN webhook_logs w ON w.id = a.delivery_id
      WHERE a.at < now() - ${retentionDays}::float8 * interval '1 day' AND w.settled_at IS NOT NULL
      LIMIT ${rowsMax} FOR UPDATE OF a SKIP LOCKED)`,
})
