// A merchant's endpoint: its URL and secret, a test of it, and sending deliveries again.
import type { ReplayRequest } from '@sluice/contracts'
import type { Database } from '../platform/database.ts'
import { badRequest, notFound } from '../platform/errors.ts'
import { momentOf } from '../platform/moments.ts'
import type { Ringer } from '../platform/ring.ts'
import { bellOf } from './jobs.ts'
import type { Outbound } from './outbound-http.ts'
import { publish } from './publish.ts'
import { isDeliveryId } from './read.ts'
import { generateWebhookSecret } from './signature.ts'

export interface WebhookSettings {
  webhook_url: string | null
  webhook_secret: string | null
}

/**
 * Sets the URL, or takes it away; a merchant without a secret gets one with its first URL.
 * @throws BAD_REQUEST_ERROR for a URL that nothing may be sent to
 */
export async function setWebhookUrl(
  { db, outbound }: { db: Database; outbound: Outbound },
  merchantId: string,
  url: string | null,
): Promise<WebhookSettings> {
  if (url !== null) {
    const problem = await outbound.addressProblem(url)
    if (problem !== undefined) {
      throw badRequest({ field: 'webhook_url', description: `webhook_url ${problem}` })
    }
  }
  return db.atomically(async (tx) => {
    const [settings] = await tx.query<WebhookSettings>({
      text: `
        UPDATE merchants SET webhook_url = $2, updated_at = now(),
          webhook_secret = CASE WHEN $2::text IS NULL THEN webhook_secret ELSE coalesce(webhook_secret, $3) END
        WHERE id = $1 RETURNING webhook_url, webhook_secret`,
      values: [merchantId, url, generateWebhookSecret()],
    })
    if (settings === undefined) throw notFound('Merchant')
    return settings
  })
}

/** Hours in which the secret before still signs, too. */
const OVERLAP_HOURS = 24

/** Makes a new secret; the one before signs, too, for a day, unless it is to be ended at once. */
export async function regenerateSecret(
  db: Database,
  merchantId: string,
  { expireOld }: { expireOld: boolean },
): Promise<WebhookSettings & { previous_secret_expires_at: string | null }> {
  return db.atomically(async (tx) => {
    const [settings] = await tx.query<WebhookSettings & { until: Date | null }>({
      text: `
        UPDATE merchants SET webhook_secret = $2, updated_at = now(),
          previous_webhook_secret = CASE WHEN $3::boolean THEN NULL ELSE webhook_secret END,
          previous_webhook_secret_until = CASE WHEN $3::boolean OR webhook_secret IS NULL THEN NULL
            ELSE now() + interval '${OVERLAP_HOURS} hours' END
        WHERE id = $1 RETURNING webhook_url, webhook_secret, previous_webhook_secret_until AS until`,
      values: [merchantId, generateWebhookSecret(), expireOld],
    })
    if (settings === undefined) throw notFound('Merchant')
    const { until, ...rest } = settings
    return { ...rest, previous_secret_expires_at: until?.toISOString() ?? null }
  })
}

/** Sends the event `webhook.test` with a sample payment. @throws BAD_REQUEST_ERROR without a URL */
export async function sendTestWebhook(
  { db, webhooks }: { db: Database; webhooks: Ringer },
  merchantId: string,
  requestId: string,
): Promise<void> {
  const data = { payment: samplePayment(new Date()) }
  const written = await db.atomically((tx, afterCommit) =>
    publish(tx, { webhooks, afterCommit }, [{ merchantId, event: 'webhook.test', data, requestId }]),
  )
  if (written === 0) {
    throw badRequest({
      field: 'webhook_url',
      description: 'webhook_url must be set before a test can be sent',
    })
  }
}

const samplePayment = (now: Date) => ({
  id: 'pay_0000000000000000',
  order_id: 'order_0000000000000000',
  amount: 50000,
  currency: 'INR',
  method: 'upi',
  vpa: 'user@paytm',
  status: 'success',
  captured: false,
  refunded_amount: 0,
  error_code: null,
  error_description: null,
  created_at: now.toISOString(),
  updated_at: now.toISOString(),
})

/** Attempts back to none, and the next one now; during an attempt, right after it. @throws NOT_FOUND_ERROR */
export async function retryWebhook(
  { db, webhooks }: { db: Database; webhooks: Ringer },
  merchantId: string,
  id: string,
): Promise<void> {
  if (!isDeliveryId(id)) throw notFound('Webhook')
  await db.atomically(async (tx, afterCommit) => {
    const rows = await tx.query({
      name: 'retry-webhook',
      text: `
        UPDATE webhook_logs SET
          retry_wanted = coalesce(claimed_until > now(), false),
          status = 'pending', settled_at = NULL, next_retry_at = now(),
          attempts = CASE WHEN claimed_until > now() THEN attempts ELSE 0 END
        WHERE id = $1 AND merchant_id = $2 RETURNING id, nextval('webhook_changes')`,
      values: [id, merchantId],
    })
    if (rows.length === 0) throw notFound('Webhook')
    afterCommit(() => webhooks.ring(bellOf(merchantId, id)))
  })
}

/** Replayed deliveries a second: a receiver that was away must not be knocked over by what it missed. */
const REPLAYS_PER_SECOND = 20

/** Sends what was delivered or given up again, spread over time; answers how many these are. @throws BAD_REQUEST_ERROR */
export async function replayWebhooks(
  db: Database,
  merchantId: string,
  { since, until, event, status, dry_run: isDryRun = false }: ReplayRequest,
): Promise<{ matched: number; scheduled: number }> {
  const [from, to] = [momentOf('since', since), until === undefined ? new Date() : momentOf('until', until)]
  const matching = `
    SELECT id, row_number() OVER (ORDER BY created_at, id) AS nth FROM webhook_logs
    WHERE merchant_id = $1 AND created_at >= $2 AND created_at <= $3 AND settled_at IS NOT NULL
      AND ($4::text IS NULL OR event = $4) AND ($5::text IS NULL OR status = $5)`
  const values = [merchantId, from, to, event ?? null, status ?? null]
  return db.atomically(async (tx) => {
    if (isDryRun) {
      const [row] = await tx.query<{ matched: number }>({
        text: `SELECT count(*)::int AS matched FROM (${matching}) AS matching`,
        values,
      })
      return { matched: row!.matched, scheduled: 0 }
    }
    const rows = await tx.query({
      text: `
        UPDATE webhook_logs w SET status = 'pending', settled_at = NULL, attempts = 0,
          next_retry_at = now() + (nth - 1) * interval '1 second' / ${REPLAYS_PER_SECOND}
        FROM (${matching}) AS matching WHERE w.id = matching.id AND w.settled_at IS NOT NULL RETURNING w.id, nextval('webhook_changes')`,
      values,
    })
    return { matched: rows.length, scheduled: rows.length }
  })
}

/** For a URL that came without one, by SQL. */
export async function ensureSecret(db: Database, merchantId: string): Promise<string> {
  const { rows } = await db.batch({
    name: 'ensure-webhook-secret',
    text: 'UPDATE merchants SET webhook_secret = coalesce(webhook_secret, $2) WHERE id = $1 RETURNING webhook_secret',
    values: [merchantId, generateWebhookSecret()],
  })
  return rows[0]![0] as string
}
