// What one attempt came to: from what the network gave, by pure functions, to what the delivery's rows say.
import { RETRY_AFTER_MAX_MS } from './retry-schedule.ts'

const RESPONSE_TEXT_BYTES_MAX = 4096
// The three forms of RFC 9110, section 5.6.7. Date.parse alone takes far too much: "5" is May 2001 to it.
const HTTP_DATE =
  /^(?:[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} [\d:]{8} GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4})$/

/** Why there was no complete answer header. */
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

/** What became of a POST. `body`: the first 64 KiB, undecoded, as far as they came in time. `message`: short, holds no secrets. */
export type OutboundResult =
  | { is: 'answered'; status: number; headers: { retryAfter?: string }; body: Buffer; durationMs: number }
  | { is: 'failed'; error: ErrorClass; message: string; durationMs: number }

export interface Outcome {
  status: 'success' | 'failed'
  /** The HTTP status, null when no complete header came. */
  responseCode: number | null
  /** Why no complete header came, null when one did. */
  error: ErrorClass | null
  /** The first 4 KiB of the body as text that any database and any page takes; null when no complete header came. */
  responseBody: string | null
  /** What a 429 or 503 asked for, 0 to an hour. */
  retryAfterMs: number | undefined
}

/** The outcome of an attempt that ended at `now`. A complete 2xx header is a success whatever became of the body; all else failed. */
export function outcomeOf(result: OutboundResult, now: Date): Outcome {
  if (result.is === 'failed') {
    return {
      status: 'failed',
      responseCode: null,
      error: result.error,
      responseBody: null,
      retryAfterMs: undefined,
    }
  }
  const { status, headers, body } = result
  const mayAskForPatience = status === 429 || status === 503
  return {
    status: status >= 200 && status < 300 ? 'success' : 'failed',
    responseCode: status,
    error: null,
    responseBody: validText(body),
    retryAfterMs: mayAskForPatience ? parseRetryAfter(headers.retryAfter, now) : undefined,
  }
}

/** Invalid UTF-8 becomes U+FFFD, and so does NUL, which PostgreSQL's text refuses; a character cut in two at the end is dropped. */
function validText(body: Buffer): string {
  const isCut = body.length > RESPONSE_TEXT_BYTES_MAX
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(
    body.subarray(0, RESPONSE_TEXT_BYTES_MAX),
    {
      stream: isCut,
    },
  )
  return text.replaceAll('\0', '\uFFFD')
}

/** Seconds or an HTTP date, in milliseconds from `now`, within an hour; what is neither was not said. */
function parseRetryAfter(value: string | undefined, now: Date): number | undefined {
  const text = value?.trim() ?? ''
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : httpDate(text) - now.getTime()
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), RETRY_AFTER_MAX_MS)
}

function httpDate(text: string): number {
  if (!HTTP_DATE.test(text)) return Number.NaN
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
}

/** Why a request came to nothing: the class for rows and metrics, a sentence for people. */
export class Failure extends Error {
  readonly error: ErrorClass
  constructor(error: ErrorClass, message: string) {
    super(message)
    this.error = error
  }
}

const RESET = ['reset', 'the connection was closed before a complete answer header came'] as const
const UNREACHABLE = ['refused', 'the host cannot be reached'] as const
const NO_HTTP = ['invalid_response', 'the answer is not proper HTTP/1.1'] as const
const CAUSES: Record<string, readonly [ErrorClass, string]> = {
  ECONNREFUSED: ['refused', 'the connection was refused'],
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  EADDRNOTAVAIL: UNREACHABLE,
  ECONNRESET: RESET,
  EPIPE: RESET,
  UND_ERR_SOCKET: RESET,
  ETIMEDOUT: ['timeout', 'the host did not accept a connection'],
  UND_ERR_HEADERS_OVERFLOW: ['invalid_response', 'the answer header is too large'],
}

/** The class and a sentence for what undici or a socket says; its own words stay inside, its code goes out. */
export function explain(error: unknown, isHandshake: boolean): Failure {
  const { code = '', name = '', message = '' } = error as { code?: string; name?: string; message?: string }
  const isNoHttp =
    name === 'HTTPParserError' || code.startsWith('UND_ERR_RES_') || /^bad (response|upgrade)$/.test(message)
  const known = isNoHttp ? NO_HTTP : CAUSES[code]
  if (known) return new Failure(known[0], code === '' ? known[1] : `${known[1]} (${code})`)
  // A certificate can be wrong in thirty ways, each with a code; nothing else is left that fails in a handshake.
  const isTls = /^(ERR_SSL_|ERR_TLS_|EPROTO$)/.test(code) || (isHandshake && !code.startsWith('UND_ERR_'))
  if (isTls) return new Failure('tls', `no secure connection could be made (${code || name})`)
  return new Failure('other', `the request failed (${code || name})`)
}
