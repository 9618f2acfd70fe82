// Why a POST got no complete response header: one class for rows and metrics, one sentence for people.

export type ErrorClass =
  | 'dns'
  | 'refused'
  | 'reset'
  | 'tls'
  | 'timeout'
  | 'invalid_response'
  | 'blocked_address'
  | 'invalid_url'
  | 'other'

/** `error` goes to rows and metrics; `message` is short and holds no secrets. */
export class OutboundFailure extends Error {
  readonly error: ErrorClass
  constructor(error: ErrorClass, message: string) {
    super(message)
    this.error = error
  }
}

const RESET = ['reset', 'the connection closed before a complete response header came'] as const
const UNREACHABLE = ['refused', 'the host cannot be reached'] as const
const NO_HTTP = ['invalid_response', 'the response is not valid HTTP/1.1'] as const
const CAUSES: Record<string, readonly [ErrorClass, string]> = {
  ECONNREFUSED: ['refused', 'the connection was refused'],
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  EADDRNOTAVAIL: UNREACHABLE,
  ECONNRESET: RESET,
  EPIPE: RESET,
  UND_ERR_SOCKET: RESET,
  ETIMEDOUT: ['timeout', 'the host did not accept a connection'],
  UND_ERR_HEADERS_OVERFLOW: ['invalid_response', 'the response header is too large'],
}

/** Classifies an error of undici or a socket. Its code goes out; its message may hold secrets and stays inside. */
export function failureOf(error: unknown, isHandshake: boolean): OutboundFailure {
  const { code = '', name = '', message = '' } = error as { code?: string; name?: string; message?: string }
  const isNoHttp =
    name === 'HTTPParserError' || code.startsWith('UND_ERR_RES_') || /^bad (response|upgrade)$/.test(message)
  const known = isNoHttp ? NO_HTTP : CAUSES[code]
  if (known) return new OutboundFailure(known[0], code === '' ? known[1] : `${known[1]} (${code})`)
  // A certificate has some thirty error codes; in a handshake no other error is left.
  const isTls = /^(ERR_SSL_|ERR_TLS_|EPROTO$)/.test(code) || (isHandshake && !code.startsWith('UND_ERR_'))
  if (isTls) return new OutboundFailure('tls', `no secure connection could be made (${code || name})`)
  return new OutboundFailure('other', `the request failed (${code || name})`)
}
