// Why a webhook was refused.

/**
 * - `missing_header`: a header that the signature needs is not there, or there more than once
 * - `bad_timestamp`: `webhook-timestamp` is no Unix time, or too far from now: an old message sent again, or a wrong clock
 * - `no_match`: the signature is not that of these bytes by any of the secrets
 * - `bad_secret`: what was given as the secret cannot be one; a mistake of the receiver's own
 * - `bad_body`: not the raw body, or a signed body that is no webhook of Sluice
 */
export type WebhookErrorCode = 'missing_header' | 'bad_timestamp' | 'no_match' | 'bad_secret' | 'bad_body'

/** Do not act on the request, answer 401. The message holds nothing of the request or the secret: it may be logged. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError'
  readonly code: WebhookErrorCode
  constructor(code: WebhookErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
