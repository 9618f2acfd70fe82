// A merchant's endpoint: its URL and secret, a test of it, and sending deliveries again.
import type { ReplayAnswer, ReplayRequest } from '@sluice/contracts'
import type { Database, Tx } from '../platform/database.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { badRequest, notFound } from '../platform/errors.ts'
import { parseTimestamp } from '../platform/timestamps.ts'
import { bellOf } from './jobs.ts'
import type { Outbound } from './outbound-http.ts'
import { publish } from './publish.ts'
import { isDeliveryId } from './read.ts'
import { generateWebhookSecret, signsStandard } from './signature.ts'

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

/** Hours in which a secret that was replaced still signs, too. */
const OVERLAP_HOURS = 24
/** So many of these at once: each adds a signature to every webhook. */
const PREVIOUS_SECRETS_MAX = 5

/**
 * Makes a new secret. The one before signs `webhook-signature` too, for a day, if it can; `expireOld` ends it at once,
 * and all others from before.
 * @returns when the one before stops signing; null when it has
 */
export async function regenerateSecret(
  db: Database,
  merchantId: string,
  { expireOld }: { expireOld: boolean },
): Promise<WebhookSettings & { previous_secret_expires_at: string | null }> {
  return db.atomically(async (tx) => {
    const [row] = await tx.query<WebhookSettings & { previous: string | null }>({
      text: `
        UPDATE merchants m SET webhook_secret = $2, updated_at = now()
        FROM (SELECT id, webhook_secret FROM merchants WHERE id = $1 FOR NO KEY UPDATE) AS old WHERE m.id = old.id
        RETURNING m.webhook_url, m.webhook_secret, old.webhook_secret AS previous`,
      values: [merchantId, generateWebhookSecret()],
    })
    if (row === undefined) throw notFound('Merchant')
    const { previous, ...settings } = row
    const until = expireOld
      ? await forgetPrevious(tx, merchantId)
      : await keepPrevious(tx, merchantId, previous)
    return { ...settings, previous_secret_expires_at: until?.toISOString() ?? null }
  })
}

async function forgetPrevious(tx: Tx, merchantId: string): Promise<undefined> {
  await tx.query({
    text: 'DELETE FROM previous_webhook_secrets WHERE merchant_id = $1',
    values: [merchantId],
  })
}

/** For a day, beside those of the days before it; one that could not sign is not kept. */
async function keepPrevious(tx: Tx, merchantId: string, secret: string | null): Promise<Date | undefined> {
  if (secret === null || !signsStandard(secret)) return undefined
  const [kept] = await tx.query<{ until: Date }>({
    text: `
      INSERT INTO previous_webhook_secrets (merchant_id, secret, expires_at)
      VALUES ($1, $2, clock_timestamp() + interval '${OVERLAP_HOURS} hours')
      ON CONFLICT (merchant_id, secret) DO UPDATE SET expires_at = excluded.expires_at RETURNING expires_at AS until`,
    values: [merchantId, secret],
  })
  await tx.query({
    text: `
      DELETE FROM previous_webhook_secrets WHERE merchant_id = $1 AND secret NOT IN (
        SELECT secret FROM previous_webhook_secrets WHERE merchant_id = $1
        ORDER BY expires_at DESC LIMIT ${PREVIOUS_SECRETS_MAX})`,
    values: [merchantId],
  })
  return kept!.until
}

/** Sends the event `webhook.test` with a sample payment. @throws BAD_REQUEST_ERROR without a URL */
export async function sendTestWebhook(
  { db, webhooks }: { db: Database; webhooks: Enqueuer },
  merchantId: string,
  requestId: string,
): Promise<void> {
  const data = { payment: samplePayment(new Date()) }
  const written = await db.atomically((tx, afterCommit) =>
    publish(tx, { webhooks, afterCommit }, [{ merchantId, event: 'webhook.test', data, requestId }]),
  )
  if (written === 0) {
    throw withoutUrl('a test')
  }
}

const withoutUrl = (what: string) =>
  badRequest({ field: 'webhook_url', description: `webhook_url must be set before ${what} can be sent` })

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

/**
 * Attempts back to none, and the next one now; during an attempt, right after it.
 * @throws NOT_FOUND_ERROR, BAD_REQUEST_ERROR without a URL
 */
export async function retryWebhook(
  { db, webhooks }: { db: Database; webhooks: Enqueuer },
  merchantId: string,
  id: string,
): Promise<void> {
  if (!isDeliveryId(id)) throw notFound('Webhook')
  await db.atomically(async (tx, afterCommit) => {
    const [row] = await tx.query<{ has_url: boolean }>({
      name: 'retry-webhook',
      text: `
        UPDATE webhook_logs w SET
          retry_wanted = coalesce(claimed_until > now(), false),
          claimed_until = CASE WHEN claimed_until > now() THEN claimed_until END,
          status = 'pending', settled_at = NULL, next_retry_at = now(),
          attempts = CASE WHEN claimed_until > now() THEN attempts ELSE 0 END
        FROM merchants m WHERE w.id = $1 AND w.merchant_id = $2 AND m.id = w.merchant_id
        RETURNING m.webhook_url IS NOT NULL AS has_url, nextval('webhook_changes')`,
      values: [id, merchantId],
    })
    if (row === undefined) throw notFound('Webhook')
    if (!row.has_url) throw withoutUrl('a webhook')
    afterCommit(() => webhooks.enqueue(bellOf(merchantId, id)))
  })
}

/** Replayed deliveries a second: a receiver that was away must not be knocked over by what it missed. */
const REPLAYS_PER_SECOND = 20
/** In one call; more would not be written within the time of an answer, nor counted. */
const REPLAYED_MAX = 5000
const COUNTED_MAX = 100_000

/**
 * Sends what was delivered or given up again, spread over time, the oldest first; answers how many match, how many of
 * these are sent, over how many seconds, and from when to ask for the rest.
 * @throws BAD_REQUEST_ERROR, also without a URL
 */
export async function replayWebhooks(
  db: Database,
  merchantId: string,
  { since, until, event, status, dry_run: isDryRun = false }: ReplayRequest,
): Promise<ReplayAnswer> {
  const [from, to] = [
    parseTimestamp('since', since),
    until === undefined ? new Date() : parseTimestamp('until', until),
  ]
  if (to < from) {
    const description =
      until === undefined ? 'since must not be in the future' : 'until must not be before since'
    throw badRequest({ field: until === undefined ? 'since' : 'until', description })
  }
  const where = `
    merchant_id = $1 AND created_at >= $2 AND created_at <= $3 AND settled_at IS NOT NULL
    AND ($4::text IS NULL OR event = $4) AND ($5::text IS NULL OR status = $5)`
  const values = [merchantId, from, to, event ?? null, status ?? null]
  return db.atomically(async (tx) => {
    const [counted] = await tx.query<{ matched: number }>({
      text: `SELECT count(*)::int AS matched FROM (SELECT FROM webhook_logs WHERE ${where} LIMIT ${COUNTED_MAX}) AS matching`,
      values,
    })
    const { matched } = counted!
    if (isDryRun) return { matched, scheduled: 0, spread_seconds: secondsFor(matched), next_since: null }
    const [merchant] = await tx.query<WebhookSettings>({
      text: 'SELECT webhook_url FROM merchants WHERE id = $1 FOR SHARE',
      values: [merchantId],
    })
    if (merchant?.webhook_url == null) throw withoutUrl('webhooks')
    const found = await tx.query<{ id: string; created_at: Date }>({
      text: `SELECT id, created_at FROM webhook_logs WHERE ${where} ORDER BY created_at, id LIMIT ${REPLAYED_MAX + 1}`,
      values,
    })
    const replayed = await tx.query({
      // Behind what an earlier call spread out, so that calls one after the other keep the rate.
      text: `
        WITH begin AS (
          SELECT greatest(now(), max(next_retry_at)) AS at FROM webhook_logs
          WHERE merchant_id = $1 AND settled_at IS NULL AND (attempts > 0) = false
        )
        UPDATE webhook_logs w SET status = 'pending', settled_at = NULL, attempts = 0,
          next_retry_at = begin.at + (nth - 1) * interval '1 second' / ${REPLAYS_PER_SECOND}
        FROM begin, unnest($2::uuid[]) WITH ORDINALITY AS matching(id, nth)
        WHERE w.id = matching.id AND w.settled_at IS NOT NULL RETURNING nextval('webhook_changes')`,
      values: [merchantId, found.slice(0, REPLAYED_MAX).map(({ id }) => id)],
    })
    return {
      matched,
      scheduled: replayed.length,
      spread_seconds: secondsFor(replayed.length),
      next_since: found[REPLAYED_MAX]?.created_at.toISOString() ?? null,
    }
  })
}

const secondsFor = (count: number) => Math.ceil(Math.max(0, count - 1) / REPLAYS_PER_SECOND)

/** For a URL that came without one, by SQL. */
export async function ensureSecret(db: Database, merchantId: string): Promise<string> {
  const { rows } = await db.batch({
    name: 'ensure-webhook-secret',
    text: 'UPDATE merchants SET webhook_secret = coalesce(webhook_secret, $2) WHERE id = $1 RETURNING webhook_secret',
    values: [merchantId, generateWebhookSecret()],
  })
  return rows[0]![0] as string
}
