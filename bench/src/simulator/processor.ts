// A processor that delivers its webhooks: at their times, again while it is told to, and keeping a ledger of what was acknowledged.
import { type Accepted, createClient, postTransaction } from '@sluice/contracts'
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

/** What is known of one acknowledged id. `takenAs` is the body whose answer did not say "duplicate", if it was heard. */
export type LedgerEntry = { takenAs: TransactionBody | undefined; takenTimes: number }

export type Processor = {
  counts: Readonly<Counts>
  ackMs: Sample
  ledger: ReadonlyMap<string, LedgerEntry>
  /** The last answer that was neither an acknowledgement nor worth a retry, for the summary. */
  lastError(): string | undefined
  /** Resolves when every delivery has had its last attempt. */
  send(deliveries: readonly Delivery[], signal: AbortSignal): Promise<void>
}

type Outcome =
  | { accepted: Accepted }
  | { retryAfterMs: number | undefined; why: string }
  | { refused: string }

export function createProcessor(url: string): Processor {
  const call = createClient(url)
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
  const ledger = new Map<string, LedgerEntry>()
  let lastError: string | undefined

  async function attempt(body: TransactionBody): Promise<Outcome> {
    const startedAt = performance.now()
    try {
      const answer = await call(postTransaction, {
        body,
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

  async function deliver({ body }: Delivery, signal: AbortSignal): Promise<void> {
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

  function acknowledged(body: TransactionBody, answer: Accepted): void {
    counts.accepted++
    if (answer.duplicate) counts.duplicates++
    if (answer.conflict) counts.conflicts++
    const entry = ledger.get(body.transaction_id) ?? { takenAs: undefined, takenTimes: 0 }
    if (!answer.duplicate) {
      entry.takenAs = body
      entry.takenTimes++
    }
    ledger.set(body.transaction_id, entry)
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
