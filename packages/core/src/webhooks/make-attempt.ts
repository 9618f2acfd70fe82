// One attempt: sign the delivery's body, POST it, and record what came of it.
import type { Database } from '../platform/database.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import { type LeasedAttempt, releaseAttempts } from './attempt-leases.ts'
import { type EndpointHealth, healthOf } from './endpoint-limit.ts'
import { ensureSecret } from './endpoint-settings.ts'
import type { Outbound } from './outbound-http.ts'
import { type AttemptOutcome, type OutboundResult, outcomeOf } from './outcome.ts'
import type { EndedAttempt } from './record-attempts.ts'
import { retryDelayMs } from './retry-schedule.ts'
import { signatureHeaders } from './signature.ts'

export interface AttemptDeps {
  db: Database
  outbound: Outbound
  metrics: Metrics
  log: Logger
  /** WEBHOOK_RETRY_INTERVALS_TEST. */
  testIntervals: boolean
}

export interface Lease {
  record: (ended: EndedAttempt) => Promise<undefined>
  /** Whether the lease is too old to send under it. */
  isTooOld: () => boolean
}

/** Signs, posts and records. Returns the endpoint's health, or undefined when nothing was sent. Never rejects. */
export async function makeAttempt(
  deps: AttemptDeps,
  lease: Lease,
  attempt: LeasedAttempt,
): Promise<EndpointHealth | undefined> {
  try {
    if (attempt.url === null) return await failWithoutUrl(deps, lease, attempt)
    const at = new Date()
    const request = await signedRequest(deps.db, attempt, at)
    if (lease.isTooOld()) {
      await giveBack(deps, [attempt])
      return undefined
    }
    const result = await deps.outbound.post(attempt.url, request)
    const outcome = outcomeOf(result, new Date())
    const durationMs = Math.round(result.durationMs)
    const nextInMs = nextAttemptInMs(deps, attempt, outcome)
    logAttempt(deps.log, attempt, result, nextInMs)
    countAttempt(deps.metrics, attempt, outcome, durationMs)
    await lease.record({ attempt, made: { at, durationMs, outcome }, nextInMs })
    return healthOf({ hasResponse: outcome.error === null, durationMs })
  } catch (err) {
    // The lease ends and the delivery is due again.
    deps.log.error({ ...idsOf(attempt), err }, 'webhook attempt not recorded')
    return undefined
  }
}

/** Gives back leases that are too old: another worker could lease the same deliveries while this one sends. */
export async function giveBack(
  { db, log, metrics }: Pick<AttemptDeps, 'db' | 'log' | 'metrics'>,
  attempts: readonly LeasedAttempt[],
): Promise<void> {
  log.warn({ count: attempts.length }, 'leasing webhook attempts took too long; they are due again')
  metrics.webhookAttempts.inc({ outcome: 'not_begun' }, attempts.length)
  await releaseAttempts(db, attempts).catch((err) =>
    log.warn({ err }, 'cannot give leases of webhook attempts back; they end by themselves'),
  )
}

async function failWithoutUrl(
  { log, metrics }: AttemptDeps,
  { record }: Lease,
  attempt: LeasedAttempt,
): Promise<undefined> {
  log.info({ ...idsOf(attempt), outcome: 'no_url' }, 'webhook failed: its merchant removed the URL')
  metrics.webhookAttempts.inc({ outcome: 'no_url' })
  await record({ attempt, made: undefined, nextInMs: undefined })
}

async function signedRequest(db: Database, attempt: LeasedAttempt, at: Date) {
  const { deliveryId, merchantId, secret, previousSecrets } = attempt
  const body = Buffer.from(attempt.body)
  const current = secret ?? (await ensureSecret(db, merchantId))
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'Sluice-Webhooks/1',
    ...signatureHeaders({
      id: deliveryId,
      timestamp: Math.floor(at.getTime() / 1000),
      body,
      secrets: { current, previous: previousSecrets },
    }),
  }
  return { headers, body }
}

/** Undefined when the delivery is settled. */
function nextAttemptInMs(
  { testIntervals }: AttemptDeps,
  { failedBefore }: LeasedAttempt,
  { status, retryAfterMs }: AttemptOutcome,
): number | undefined {
  if (status === 'success') return undefined
  return retryDelayMs({ attempts: failedBefore + 1, retryAfterMs, test: testIntervals })
}

function logAttempt(
  log: Logger,
  attempt: LeasedAttempt,
  result: OutboundResult,
  nextInMs: number | undefined,
): void {
  log.info(
    {
      ...idsOf(attempt),
      outcome: result.is === 'failed' ? result.error : result.status,
      ...(result.is === 'failed' ? { problem: result.message } : {}),
      durationMs: Math.round(result.durationMs),
      lateMs: Math.round(attempt.lateMs),
      ...(nextInMs === undefined ? {} : { nextInMs }),
    },
    'webhook attempt',
  )
}

function countAttempt(
  metrics: Metrics,
  { lateMs }: LeasedAttempt,
  { status, error }: AttemptOutcome,
  durationMs: number,
): void {
  const outcome = status === 'success' ? 'success' : (error ?? 'refused_by_receiver')
  metrics.webhookAttempts.inc({ outcome })
  metrics.webhookDuration.observe(durationMs / 1000)
  metrics.webhookAge.observe(Math.max(0, lateMs) / 1000)
}

const idsOf = ({ deliveryId, merchantId, event, number, requestId }: LeasedAttempt) => ({
  delivery: deliveryId,
  merchant: merchantId,
  event,
  attempt: number,
  requestId,
})
