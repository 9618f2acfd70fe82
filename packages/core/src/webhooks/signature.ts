// Signing webhooks in two ways: by Standard Webhooks, and by a hex HMAC of the body (decision 0020).
import { createHmac } from 'node:crypto'
import { isWebhookSecret, signWebhook } from '../platform/standard-webhooks.ts'

interface SigningSecrets {
  current: string
  /** Replaced secrets that still sign too, for 24 h each. */
  previous?: readonly string[]
}

export interface OutgoingMessage {
  /** The delivery's id, the same on every attempt. */
  id: string
  /** The time of the attempt, in whole Unix seconds. */
  timestamp: number
  /** The exact bytes that are sent. */
  body: Buffer
  secrets: SigningSecrets
}

/**
 * The headers that sign a webhook:
 * - `X-Webhook-Signature`: the lower-case hex HMAC-SHA256 of the body with the current secret's text as key. Always
 *   present. Receivers compare it with one value, so previous secrets do not sign it.
 *
 * - `webhook-id`, `webhook-timestamp`: always present.
 *
 * - `webhook-signature`: `v1,` and base64, by the current and then the previous secrets. Only secrets that are `whsec_`
 *   and the base64 of 24 to 64 bytes sign it; without such a secret it is absent.
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
 * Whether a secret signs `webhook-signature`. Receivers choose by the prefix which signature to expect (see
 * @sluice/webhooks), so the prefix is required here.
 */
export const signsStandard = (secret: string): boolean =>
  secret.startsWith('whsec_') && isWebhookSecret(secret)
