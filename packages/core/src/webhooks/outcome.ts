// The outcome of one attempt: pure functions from what the network returned to what the delivery's rows hold.
import type { ErrorClass } from './outbound-failure.ts'
import { RETRY_AFTER_MAX_MS } from './retry-schedule.ts'

const RESPONSE_TEXT_BYTES_MAX = 4096
// The three forms of RFC 9110, section 5.6.7. Date.parse alone accepts too much: it reads "5" as May 2001.
const HTTP_DATE =
  /^(?:[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} [\d:]{8} GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4})$/

/**
 * The result of a POST. `body`: the first 64 KiB, undecoded, as far as they came within the deadline. `message`: short,
 * without secrets.
 */
export type OutboundResult =
  | { is: 'responded'; status: number; headers: { retryAfter?: string }; body: Buffer; durationMs: number }
  | { is: 'failed'; error: ErrorClass; message: string; durationMs: number }

export interface AttemptOutcome {
  status: 'success' | 'failed'
  /** The HTTP status; null when no complete header came. */
  responseCode: number | null
  /** Why no complete header came; null when one did. */
  error: ErrorClass | null
  /** The first 4 KiB of the body as valid text without NUL; null when no complete header came. */
  responseBody: string | null
  /** What a 429 or 503 asked for, from 0 to one hour. */
  retryAfterMs: number | undefined
}

/** The outcome of an attempt that ended at `now`. Only a complete 2xx header is a success; the body does not matter. */
export function outcomeOf(result: OutboundResult, now: Date): AttemptOutcome {
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
  const maySetRetryAfter = status === 429 || status === 503
  return {
    status: status >= 200 && status < 300 ? 'success' : 'failed',
    responseCode: status,
    error: null,
    responseBody: validText(body),
    retryAfterMs: maySetRetryAfter ? parseRetryAfter(headers.retryAfter, now) : undefined,
  }
}

/** Invalid UTF-8 and NUL, which PostgreSQL refuses, become U+FFFD; a character cut in two at the end is dropped. */
function validText(body: Buffer): string {
  const isCut = body.length > RESPONSE_TEXT_BYTES_MAX
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const text = decoder.decode(body.subarray(0, RESPONSE_TEXT_BYTES_MAX), { stream: isCut })
  return text.replaceAll('\0', '\uFFFD')
}

/** Seconds or an HTTP date, in milliseconds from `now`, at most an hour; undefined for anything else. */
function parseRetryAfter(value: string | undefined, now: Date): number | undefined {
  const text = value?.trim() ?? ''
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : httpDate(text) - now.getTime()
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), RETRY_AFTER_MAX_MS)
}

function httpDate(text: string): number {
  if (!HTTP_DATE.test(text)) return Number.NaN
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
}
