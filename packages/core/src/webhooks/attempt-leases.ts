// Leases of attempts: a worker numbers and leases an attempt before it sends it, so outside a crash it is sent once.
import type { Database } from '../platform/database.ts'

/**
 * Longer than a lease statement, an attempt and its record together may take (delivery-loop.ts). After it any worker
 * may take the delivery. Short enough that another worker takes over from a dead one within ten seconds.
 */
const LEASE_MS = 9000

/** How many attempts of one kind an endpoint may begin now. */
export interface Quota {
  merchantId: string
  isRetry: boolean
  count: number
}

/** An attempt that this worker may make until its lease ends. */
export interface LeasedAttempt {
  deliveryId: string
  merchantId: string
  /** Whether it was leased by a quota for retries. */
  isRetry: boolean
  event: string
  body: string
  /** Counts all attempts of the delivery; a manual retry does not reset it. */
  number: number
  /** Failed attempts before this one, since the last manual retry. */
  failedBefore: number
  requestId: string
  /** As of now; null when the merchant has removed it since. */
  url: string | null
  secret: string | null
  /** Replaced secrets that still sign. */
  previousSecrets: string[]
  /** How long ago it became due. */
  lateMs: number
}

// A manual retry during an attempt that was never recorded takes effect here (retry_wanted).
const LEASE_ATTEMPTS = `
  WITH due AS (
    SELECT picked.id, quota.is_retry
    FROM unnest($1::uuid[], $2::boolean[], $3::int[]) AS quota(merchant_id, is_retry, count)
    CROSS JOIN LATERAL (
      SELECT w.id FROM webhook_logs w
      WHERE w.merchant_id = quota.merchant_id AND w.settled_at IS NULL AND (w.attempts > 0) = quota.is_retry
        AND w.next_retry_at <= now() AND (w.claimed_until IS NULL OR w.claimed_until < now())
      ORDER BY w.next_retry_at LIMIT quota.count FOR UPDATE SKIP LOCKED
    ) AS picked
  )
  UPDATE webhook_logs w
  SET attempt_number = attempt_number + 1, claimed_until = now() + interval '${LEASE_MS} milliseconds',
    attempts = CASE WHEN retry_wanted THEN 0 ELSE attempts END, retry_wanted = false
  FROM due, merchants m
  WHERE w.id = due.id AND m.id = w.merchant_id
  RETURNING w.id, w.merchant_id, w.event, w.payload::text, w.attempt_number, w.attempts, w.request_id, m.webhook_url,
    m.webhook_secret,
    ARRAY(SELECT secret FROM previous_webhook_secrets p WHERE p.merchant_id = m.id AND p.expires_at > now()
          ORDER BY expires_at DESC),
    (extract(epoch FROM clock_timestamp() - w.next_retry_at) * 1000)::float8, due.is_retry`

/** Leases what is due, at most as many attempts as the quotas allow; never what another worker has leased. */
export async function leaseAttempts(db: Database, quotas: readonly Quota[]): Promise<LeasedAttempt[]> {
  const { rows } = await db.batch({
    name: 'lease-webhook-attempts',
    text: LEASE_ATTEMPTS,
    values: [
      quotas.map(({ merchantId }) => merchantId),
      quotas.map(({ isRetry }) => isRetry),
      quotas.map(({ count }) => count),
    ],
  })
  // By position, for speed: this is the hot path of deliveries.
  return rows.map((row) => ({
    deliveryId: row[0] as string,
    merchantId: row[1] as string,
    event: row[2] as string,
    body: row[3] as string,
    number: row[4] as number,
    failedBefore: row[5] as number,
    requestId: row[6] as string,
    url: row[7] as string | null,
    secret: row[8] as string | null,
    previousSecrets: row[9] as string[],
    lateMs: row[10] as number,
    isRetry: row[11] as boolean,
  }))
}

const RELEASE_ATTEMPTS = `
  UPDATE webhook_logs w SET claimed_until = NULL, attempt_number = attempt_number - 1, retry_wanted = false,
    attempts = CASE WHEN retry_wanted THEN 0 ELSE attempts END
  FROM unnest($1::uuid[], $2::int[]) AS lease(id, number)
  WHERE w.id = lease.id AND w.attempt_number = lease.number AND w.claimed_until IS NOT NULL`

/** Gives back leases that are too old to send under: the deliveries are due as before. */
export async function releaseAttempts(db: Database, attempts: readonly LeasedAttempt[]): Promise<void> {
  await db.batch({
    name: 'release-webhook-attempts',
    text: RELEASE_ATTEMPTS,
    values: [attempts.map(({ deliveryId }) => deliveryId), attempts.map(({ number }) => number)],
  })
}
