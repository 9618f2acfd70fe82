// For merchants: verifies that a webhook comes from Sluice and returns its event. Uses Node's modules only.
export { type WebhookErrorCode, WebhookVerificationError } from './error.ts'
export type {
  WebhookEvent,
  WebhookExternalPayment,
  WebhookPayment,
  WebhookRefund,
  WebhookTransaction,
} from './events.ts'
export { type VerifyOptions, verify, type WebhookHeaders } from './verify.ts'
