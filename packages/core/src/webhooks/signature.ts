// How a webhook of ours is signed: for those who know Standard Webhooks, and for those who know only a hex HMAC of the body.
import { createHmac, randomBytes } from 'node:crypto'
import { isWebhookSecret, signWebhook } from '../platform/standard-webhooks.ts'

interface SigningSecrets {
  current: string
  /** Those before, for as long as each is to sign too (24 h after it was replaced). */
  previous?: readonly string[]
}

export interface OutgoingMessage {
  /** The delivery's id, the same on every attempt. */
  id: string
  /** The attempt's time: Unix seconds, an integer. */
  timestamp: number
  /** Exactly the bytes that are sent. */
  body: Buffer
  secrets: SigningSecrets
}

/**
 * The headers that sign a webhook:
 * - `X-Webhook-Signature`: the lower-case hex HMAC-SHA256 of the body by the current secret as text. Always; receivers
 *   that know this one compare it with one value, so previous secrets have no place in it.
 * - `webhook-id`, `webhook-timestamp`: always.
 * - `webhook-signature`: `v1,` and base64, by the current and then the previous secrets, of those that are `whsec_` and
 *   the base64 of 24 to 64 bytes; left out when none is.
 */
export function signatureHeaders({ id, timestamp, body, secrets }: OutgoingMessage): Record<string, string> {
  const message = { id, timestamp: String(timestamp), body }
  const signing = new Set([secrets.current, ...(secrets.previous ?? [])])
  const signatures = [...signing].filter(signsStandard).map((secret) => signWebhook(secret, message))
  return {
    'X-Webhook-Signature': createHmac('sha256', secrets.current).update(body).digest('hex'),
    'webhook-id': id,
    'webhook-timestamp': message.timestamp,
    ...(signatures.length > 0 ? { 'webhook-signature': signatures.join(' ') } : {}),
  }
}

/**
 * Whether a secret signs `webhook-signature`. Receivers tell by the prefix which signature to expect (see
 * @sluice/webhooks), so here it may not be missing.
 */
export const signsStandard = (secret: string): boolean =>
  secret.startsWith('whsec_') && isWebhookSecret(secret)

const SECRET_BYTES = 32

/** A new secret of a merchant's: 50 characters, `whsec_` and the base64 of 32 random bytes. */
export const generateWebhookSecret = (): string => `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`
