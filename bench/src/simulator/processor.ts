// A processor that delivers its webhooks: at their times, again while it is told to, and keeping a ledger of what was acknowledged.
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
import type { Delivery } from './traffic.ts'

const IN_FLIGHT_MAX = 500
const ANSWER_WITHIN_MS = 10_000
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

/** What is known of one acknowledged id. */
export type LedgerEntry<B> = {
  /** The first body that was acknowledged. */
  body: B
  /** The body whose answer did not say "duplicate", if it was heard. */
  takenAs: B | undefined
  takenTimes: number
  acknowledgedTimes: number
}

export type Processor<B extends { amount: number }> = {
  counts: Readonly<Counts>
  ackMs: Sample
  ledger: ReadonlyMap<string, LedgerEntry<B>>
  /** The last answer that was neither an acknowledgement nor worth a retry, for the summary. */
  lastError(): string | undefined
  /** Resolves when every delivery has had its last attempt. */
  send(deliveries: readonly Delivery<B>[], signal: AbortSignal): Promise<void>
}

type Answer = CallResult<typeof postTransaction> | CallResult<typeof postPaymentEvent>
type Accepted = Extract<Answer, { status: 202 }>['body']

/** What distinguishes one kind of inbound events from another. */
export type Inbound<B> = {
  idOf(body: B): string
  post(body: B, options: { headers: Record<string, string>; signal: AbortSignal }): Promise<Answer>
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

type Outcome =
  | { accepted: Accepted }
  | { retryAfterMs: number | undefined; why: string }
  | { refused: string }

/** Signs what it posts when it has a secret (Standard Webhooks). */
export function createProcessor<B extends { amount: number }>(
  { idOf, post }: Inbound<B>,
  secret?: string,
): Processor<B> {
  const counts: Counts = {
    sent: 0,
    accepted: 0,
    duplicates: 0,
    conflicts: 0,
    retried: 0,
    errors: 0,
    inFlight: 0,
  }
  const ackMs = new Sample()
  const ledger = new Map<string, LedgerEntry<B>>()
  let lastError: string | undefined

  async function attempt(body: B): Promise<Outcome> {
    const startedAt = performance.now()
    try {
      const answer = await post(body, {
        headers: secret === undefined ? {} : signatureHeaders(secret, idOf(body), body),
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      })
      if (answer.status === 202) {
        ackMs.add(performance.now() - startedAt)
        return { accepted: answer.body }
      }
      const said = `${answer.status} ${answer.body.error?.description ?? ''}`
      if (answer.status !== 503 && answer.status !== 429) return { refused: said }
      const seconds = Number(answer.headers.get('retry-after') ?? Number.NaN)
      return { retryAfterMs: Number.isNaN(seconds) ? undefined : seconds * 1000, why: said }
    } catch (error) {
      // No answer means "unknown": only sending again can tell.
      return { retryAfterMs: undefined, why: describeFailure(error) }
    }
  }

  async function deliver({ body }: Delivery<B>, signal: AbortSignal): Promise<void> {
    for (let attempts = 1; ; attempts++) {
      counts.sent++
      const outcome = await attempt(body)
      if ('accepted' in outcome) return acknowledged(body, outcome.accepted)
      lastError = 'refused' in outcome ? outcome.refused : outcome.why
      if ('refused' in outcome || attempts === ATTEMPTS_MAX || signal.aborted) {
        counts.errors++
        return
      }
      counts.retried++
      await pause(
        outcome.retryAfterMs ?? Math.min(200 * 2 ** attempts, BACKOFF_MAX_MS) * (0.5 + Math.random() / 2),
      )
    }
  }

  function acknowledged(body: B, answer: Accepted): void {
    counts.accepted++
    if (answer.duplicate) counts.duplicates++
    if (answer.conflict) counts.conflicts++
    const known = ledger.get(idOf(body))
    const entry = known ?? { body, takenAs: undefined, takenTimes: 0, acknowledgedTimes: 0 }
    entry.acknowledgedTimes++
    if (!answer.duplicate) {
      entry.takenAs = body
      entry.takenTimes++
    }
    ledger.set(idOf(body), entry)
  }

  return {
    counts,
    ackMs,
    ledger,
    lastError: () => lastError,
    async send(deliveries, signal) {
      const startedAt = performance.now()
      const running = new Set<Promise<void>>()
      for (const delivery of deliveries) {
        const waitMs = delivery.atMs - (performance.now() - startedAt)
        if (waitMs > 1) await pause(waitMs, signal)
        while (counts.inFlight >= IN_FLIGHT_MAX && !signal.aborted) await Promise.race(running)
        if (signal.aborted) break
        counts.inFlight++
        const done = deliver(delivery, signal).finally(() => {
          counts.inFlight--
          running.delete(done)
        })
        running.add(done)
      }
      await Promise.all(running)
    },
  }
}

/** Of the bytes that the client makes of this body; new for each attempt, since a signature is good for minutes only. */
function signatureHeaders(secret: string, id: string, body: object): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1000))
  const message = { id, timestamp, body: Buffer.from(JSON.stringify(body)) }
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signWebhook(secret, message),
  }
}

/** fetch hides the reason in the cause: "fetch failed" alone helps nobody. */
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
