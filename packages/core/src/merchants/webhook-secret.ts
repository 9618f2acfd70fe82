// A merchant's webhook secret, with which Sluice signs the webhooks to that merchant.
import { randomBytes } from 'node:crypto'

const SECRET_BYTES = 32

/** A new secret for a merchant: 50 characters, `whsec_` and the base64 of 32 random bytes. */
export const generateWebhookSecret = (): string => `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`
