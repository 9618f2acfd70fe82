// How a webhook of ours is signed: for those who know Standard Webhooks, and for those who know only a hex HMAC of the body.
import { createHmac, randomBytes } from 'node:crypto'
import { isWebhookSecret, signWebhook } from '../platform/standard-webhooks.ts'

interface SigningSecrets {
  current: string
  /** The one before, for as long as it is to sign too (24 h after a regeneration). */
  previous?: string | undefined
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
 *   that know this one compare it with one value, so the previous secret has no place in it.
 * - `webhook-id`, `webhook-timestamp`: always.
 * - `webhook-signature`: `v1,` and base64, by the current and then the previous secret, of those that are `whsec_` and
 *   the base64 of 24 to 64 bytes; left out when neither is.
 */
export function signatureHeaders({ id, timestamp, body, secrets }: OutgoingMessage): Record<string, string> {
  const message = { id, timestamp: String(timestamp), body }
  const signing = new Set([secrets.current, secrets.previous])
  const signatures = [...signing].filter(isStandard).map((secret) => signWebhook(secret, message))
  return {
    'X-Webhook-Signature': createHmac('sha256', secrets.current).update(body).digest('hex'),
    'webhook-id': id,
    'webhook-timestamp': message.timestamp,
    ...(signatures.length > 0 ? { 'webhook-signature': signatures.join(' ') } : {}),
  }
}

/** Receivers tell by the prefix which signature to expect (see @sluice/webhooks), so here it may not be missing. */
const isStandard = (secret: string | undefined): secret is string =>
  secret?.startsWith('whsec_') === true && isWebhookSecret(secret)

const SECRET_BYTES = 32

/** A new secret of a merchant's: 50 characters, `whsec_` and the base64 of 32 random bytes. */
export const generateWebhookSecret = (): string => `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`
