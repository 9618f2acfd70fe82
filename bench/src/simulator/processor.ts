// A payment processor: posts its events on time, retries them, and keeps a ledger of what Sluice acknowledged.
import {
  type CallResult,
  createClient,
  type PaymentEventRequest,
  postPaymentEvent,
  postTransaction,
} from '@sluice/contracts'
import { signWebhook } from '@sluice/core/platform'
import { Sample } from '../stats.ts'
import type { TransactionBody } from '../transactions.ts'
import type { PlannedRequest } from './traffic.ts'

const IN_FLIGHT_MAX = 500
const RESPONSE_WITHIN_MS = 10_000
const ATTEMPTS_MAX = 12
const BACKOFF_MAX_MS = 5000

type Counts = {
  sent: number
  accepted: number
  duplicates: number
  conflicts: number
  retried: number
  errors: number
  inFlight: number
}

/** The acknowledgements of one id. */
export type LedgerEntry<B> = {
  /** The first body that was acknowledged. */
  body: B
  /** The body whose response was not "duplicate", if that response arrived. */
  acceptedAs: B | undefined
  acceptedTimes: number
  acknowledgedTimes: number
}

const ZERO: Counts = {
  sent: 0,
  accepted: 0,
  duplicates: 0,
  conflicts: 0,
  retried: 0,
  errors: 0,
  inFlight: 0,
}

export type Processor<B extends { amount: number }> = {
  counts: Readonly<Counts>
  ackMs: Sample
  ledger: ReadonlyMap<string, LedgerEntry<B>>
  /** The last response that was no acknowledgement, for the summary. */
  lastError(): string | undefined
  /** Resolves when every request has had its last attempt. */
  send(requests: readonly PlannedRequest<B>[], signal: AbortSignal): Promise<void>
}

type PostResult = CallResult<typeof postTransaction> | CallResult<typeof postPaymentEvent>
type Accepted = Extract<PostResult, { status: 202 }>['body']

/** What distinguishes one kind of inbound events from another. */
export type Inbound<B> = {
  idOf(body: B): string
  post(body: B, options: { headers: Record<string, string>; signal: AbortSignal }): Promise<PostResult>
}

export function transactionsAt(url: string): Inbound<TransactionBody> {
  const call = createClient(url)
  return {
    idOf: ({ transaction_id }) => transaction_id,
    post: (body, options) => call(postTransaction, { body, ...options }),
  }
}

export function paymentEventsAt(url: string): Inbound<PaymentEventRequest> {
  const call = createClient(url)
  return {
    idOf: ({ event_id }) => event_id,
    post: (body, options) => call(postPaymentEvent, { body, ...options }),
  }
}

/** With a secret, it signs its requests (Standard Webhooks). */
export function createProcessor<B extends { amount: number }>(
  inbound: Inbound<B>,
  secret?: string,
): Processor<B> {
  const counts: Counts = { ...ZERO }
  const ackMs = new Sample()
  const ledger = new Map<string, LedgerEntry<B>>()
  let lastError: string | undefined

  /** Posts until an acknowledgement, a refusal, or the last attempt. */
  async function post({ body }: PlannedRequest<B>, signal: AbortSignal): Promise<void> {
    for (let attempts = 1; ; attempts++) {
      counts.sent++
      const outcome = await attempt(inbound, body, secret)
      if ('accepted' in outcome) {
        ackMs.add(outcome.ms)
        return acknowledged(body, outcome.accepted)
      }
      lastError = 'refused' in outcome ? outcome.refused : outcome.reason
      if ('refused' in outcome || attempts === ATTEMPTS_MAX || signal.aborted) {
        counts.errors++
        return
      }
      counts.retried++
      await pause(outcome.retryAfterMs ?? backoffMs(attempts))
    }
  }

  function acknowledged(body: B, { duplicate, conflict }: Accepted): void {
    counts.accepted++
    if (duplicate) counts.duplicates++
    if (conflict) counts.conflicts++
    const id = inbound.idOf(body)
    ledger.set(id, withAcknowledgement(ledger.get(id), body, duplicate === true))
  }

  return {
    counts,
    ackMs,
    ledger,
    lastError: () => lastError,
    async send(requests, signal) {
      const startedAt = performance.now()
      const running = new Set<Promise<void>>()
      for (const request of requests) {
        const waitMs = request.atMs - (performance.now() - startedAt)
        if (waitMs > 1) await pause(waitMs, signal)
        while (counts.inFlight >= IN_FLIGHT_MAX && !signal.aborted) await Promise.race(running)
        if (signal.aborted) break
        counts.inFlight++
        const done = post(request, signal).finally(() => {
          counts.inFlight--
          running.delete(done)
        })
        running.add(done)
      }
      await Promise.all(running)
    },
  }
}

/** The entry of an id after one more acknowledgement of this body. */
function withAcknowledgement<B>(
  entry: LedgerEntry<B> | undefined,
  body: B,
  isDuplicate: boolean,
): LedgerEntry<B> {
  return {
    body: entry?.body ?? body,
    acceptedAs: isDuplicate ? entry?.acceptedAs : body,
    acceptedTimes: (entry?.acceptedTimes ?? 0) + (isDuplicate ? 0 : 1),
    acknowledgedTimes: (entry?.acknowledgedTimes ?? 0) + 1,
  }
}

type Outcome =
  | { accepted: Accepted; ms: number }
  | { retryAfterMs: number | undefined; reason: string }
  | { refused: string }

async function attempt<B extends object>(
  { idOf, post }: Inbound<B>,
  body: B,
  secret: string | undefined,
): Promise<Outcome> {
  const startedAt = performance.now()
  try {
    const response = await post(body, {
      headers: secret === undefined ? {} : signatureHeaders(secret, idOf(body), body),
      signal: AbortSignal.timeout(RESPONSE_WITHIN_MS),
    })
    if (response.status === 202) return { accepted: response.body, ms: performance.now() - startedAt }
    const reason = `${response.status} ${response.body.error?.description ?? ''}`
    if (response.status !== 503 && response.status !== 429) return { refused: reason }
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
    return { retryAfterMs: Number.isNaN(seconds) ? undefined : seconds * 1000, reason }
  } catch (error) {
    // Without a response the outcome is unknown: only another attempt can find it out.
    return { retryAfterMs: undefined, reason: describeFailure(error) }
  }
}

const backoffMs = (attempts: number) =>
  Math.min(200 * 2 ** attempts, BACKOFF_MAX_MS) * (0.5 + Math.random() / 2)

/** Signs the bytes that the client sends; anew for each attempt, since a signature is valid for minutes only. */
function signatureHeaders(secret: string, id: string, body: object): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1000))
  const message = { id, timestamp, body: Buffer.from(JSON.stringify(body)) }
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signWebhook(secret, message),
  }
}

/** The reason of a failed request, which `fetch` hides in the error's cause. */
export function describeFailure(error: unknown): string {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause
  return cause?.code ?? cause?.message ?? (error as Error).message
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done)
  })
}
