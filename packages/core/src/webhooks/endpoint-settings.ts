// A merchant's endpoint: its URL, its secrets, and the rotation of secrets.

import { generateWebhookSecret } from '../merchants/index.ts'
import type { Database, Tx } from '../platform/database.ts'
import { badRequest, notFound, type SluiceError } from '../platform/errors.ts'
import type { Outbound } from './outbound-http.ts'
import { signsStandard } from './signature.ts'

export interface WebhookSettings {
  webhook_url: string | null
  webhook_secret: string | null
}

const SET_URL = `
  UPDATE merchants SET webhook_url = $2, updated_at = now(),
    webhook_secret = CASE WHEN $2::text IS NULL THEN webhook_secret ELSE coalesce(webhook_secret, $3) END
  WHERE id = $1 RETURNING webhook_url, webhook_secret`

/**
 * Sets or removes the URL; a merchant without a secret gets one with its first URL.
 * @throws BAD_REQUEST_ERROR for a URL that webhooks must not be sent to
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
      text: SET_URL,
      values: [merchantId, url, generateWebhookSecret()],
    })
    if (settings === undefined) throw notFound('Merchant')
    return settings
  })
}

/** For this many hours a replaced secret still signs too. */
const OVERLAP_HOURS = 24
/** The most replaced secrets that are kept: each adds a signature to every webhook. */
const PREVIOUS_SECRETS_MAX = 5

const REPLACE_SECRET = `
  UPDATE merchants m SET webhook_secret = $2, updated_at = now()
  FROM (SELECT id, webhook_secret FROM merchants WHERE id = $1 FOR NO KEY UPDATE) AS old WHERE m.id = old.id
  RETURNING m.webhook_url, m.webhook_secret, old.webhook_secret AS previous`

/**
 * Makes a new secret. The replaced one signs `webhook-signature` too for a day, if it is of the standard form;
 * `expireOld` ends it at once, with all earlier ones.
 * @returns when the replaced secret stops signing; null when it has
 */
export async function regenerateSecret(
  db: Database,
  merchantId: string,
  { expireOld }: { expireOld: boolean },
): Promise<WebhookSettings & { previous_secret_expires_at: string | null }> {
  return db.atomically(async (tx) => {
    const [row] = await tx.query<WebhookSettings & { previous: string | null }>({
      text: REPLACE_SECRET,
      values: [merchantId, generateWebhookSecret()],
    })
    if (row === undefined) throw notFound('Merchant')
    const { previous, ...settings } = row
    const until = expireOld
      ? await deletePreviousSecrets(tx, merchantId)
      : await keepPreviousSecret(tx, merchantId, previous)
    return { ...settings, previous_secret_expires_at: until?.toISOString() ?? null }
  })
}

async function deletePreviousSecrets(tx: Tx, merchantId: string): Promise<undefined> {
  await tx.query({
    text: 'DELETE FROM previous_webhook_secrets WHERE merchant_id = $1',
    values: [merchantId],
  })
}

const KEEP_PREVIOUS_SECRET = `
  INSERT INTO previous_webhook_secrets (merchant_id, secret, expires_at)
  VALUES ($1, $2, clock_timestamp() + interval '${OVERLAP_HOURS} hours')
  ON CONFLICT (merchant_id, secret) DO UPDATE SET expires_at = excluded.expires_at RETURNING expires_at AS until`

const DELETE_SURPLUS_SECRETS = `
  DELETE FROM previous_webhook_secrets WHERE merchant_id = $1 AND secret NOT IN (
    SELECT secret FROM previous_webhook_secrets WHERE merchant_id = $1
    ORDER BY expires_at DESC LIMIT ${PREVIOUS_SECRETS_MAX})`

/** Keeps it for a day, beside earlier ones; a secret that cannot sign `webhook-signature` is not kept. */
async function keepPreviousSecret(
  tx: Tx,
  merchantId: string,
  secret: string | null,
): Promise<Date | undefined> {
  if (secret === null || !signsStandard(secret)) return undefined
  const [kept] = await tx.query<{ until: Date }>({ text: KEEP_PREVIOUS_SECRET, values: [merchantId, secret] })
  await tx.query({ text: DELETE_SURPLUS_SECRETS, values: [merchantId] })
  return kept!.until
}

/** Makes the secret of a merchant whose URL was set by SQL, without one. */
export async function ensureSecret(db: Database, merchantId: string): Promise<string> {
  const { rows } = await db.batch({
    name: 'ensure-webhook-secret',
    text: 'UPDATE merchants SET webhook_secret = coalesce(webhook_secret, $2) WHERE id = $1 RETURNING webhook_secret',
    values: [merchantId, generateWebhookSecret()],
  })
  return rows[0]![0] as string
}

/** The error of sending anything while no URL is set. */
export const urlMissing = (what: string): SluiceError =>
  badRequest({ field: 'webhook_url', description: `webhook_url must be set before ${what} can be sent` })
