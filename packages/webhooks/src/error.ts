// The error of a refused webhook, with a code for the reason.

export type WebhookErrorCode =
  /** A header that the signature needs is missing or repeated. */
  | 'missing_header'
  /** `webhook-timestamp` is no Unix time or too far from now: a replay, or a wrong clock. */
  | 'bad_timestamp'
  /** No signature matches these bytes with any of the secrets. */
  | 'no_match'
  /** The given secret is invalid, which is an error in the receiver. */
  | 'bad_secret'
  /** The body is not the raw body, or it is signed but no webhook of Sluice. */
  | 'bad_body'

/** Respond 401 and do not act on the request. The message may be logged: it contains no part of the request or secret. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError'
  readonly code: WebhookErrorCode
  constructor(code: WebhookErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
