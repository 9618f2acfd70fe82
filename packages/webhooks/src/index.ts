// For merchants: is this webhook Sluice's, and what does it say? Node's own modules only, so that it can be copied anywhere.
export { type WebhookErrorCode, WebhookVerificationError } from './error.ts'
export type {
  WebhookEvent,
  WebhookExternalPayment,
  WebhookPayment,
  WebhookRefund,
  WebhookTransaction,
} from './events.ts'
export { type VerifyOptions, verify, type WebhookHeaders } from './verify.ts'
