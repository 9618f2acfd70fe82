// The error of a refused webhook, with a code for the reason.

export type WebhookErrorCode =
  /** A header that the signature needs is missing, or there more than once. */
  | 'missing_header'
  /** `webhook-timestamp` is no Unix time or too far from now: a replay, or a wrong clock. */
  | 'bad_timestamp'
  /** No signature matches these bytes with any of the secrets. */
  | 'no_match'
  /** The given secret is invalid, which is an error in the receiver. */
  | 'bad_secret'
  /** Not the raw body, or a signed body that is no webhook of Sluice. */
  | 'bad_body'

/** Do not act on the request; respond 401. The message may be logged: it holds nothing of the request or the secret. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError'
  readonly code: WebhookErrorCode
  constructor(code: WebhookErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
