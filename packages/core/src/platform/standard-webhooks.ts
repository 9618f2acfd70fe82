// Standard Webhooks signatures (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md), symmetric kind, over raw bytes.
import { createHmac, timingSafeEqual } from 'node:crypto'

const SECRET = /^(?:whsec_)?([A-Za-z0-9+/]+={0,2})$/

/** The key's bytes, or undefined when the text is no such secret: `whsec_` (which may be missing) and the base64 of 24 to 64 bytes. */
function keyOf(secret: string): Buffer | undefined {
  const base64 = SECRET.exec(secret)?.[1]
  if (base64 === undefined) return undefined
  const key = Buffer.from(base64, 'base64')
  return key.length >= 24 && key.length <= 64 ? key : undefined
}

export const isWebhookSecret = (secret: string): boolean => keyOf(secret) !== undefined
