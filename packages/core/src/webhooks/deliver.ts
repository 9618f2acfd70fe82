// The delivery loop of a worker. Bells and frequent looks tell which endpoints have something due; each endpoint may
// have a few attempts under way, the fewer the worse it answers, and what is beyond that waits as a row: it holds no
// slot, no connection and no attempt. So an endpoint that hangs keeps itself waiting, and nobody else.
import type { Database } from '../platform/database.ts'
import { isUnavailable } from '../platform/errors.ts'
import { createGroupCommit } from '../platform/group-commit.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import {
  type ClaimedAttempt,
  claimAttempts,
  type FinishedAttempt,
  findDue,
  recordAttempts,
  releaseAttempts,
  type Wish,
} from './attempts.ts'
import { ensureSecret } from './endpoint.ts'
import { createEndpoints, type Manner } from './endpoints.ts'
import { merchantOfBell } from './jobs.ts'
import type { Outbound } from './outbound-http.ts'
import { outcomeOf } from './outcome.ts'
import { retryDelayMs } from './retry-schedule.ts'
import { signatureHeaders } from './signature.ts'

export interface DeliveryDeps {
  db: Database
  outbound: Outbound
  metrics: Metrics
  log: Logger
  /** WEBHOOK_RETRY_INTERVALS_TEST. */
  testIntervals: boolean
}

export interface Deliveries {
  /** The handler of a webhook's job. */
  ring: (bell: string) => Promise<undefined>
  start: () => void
  /** Begins no more attempts, and waits for those under way. */
  stop: () => Promise<void>
}

const LOOK_INTERVAL_MS = 100
/** Where very many endpoints have something open a look takes its time, and is followed by a pause of so many times that. */
const LOOK_PAUSE = 4
const LOOK_PAUSE_MS_MAX = 1000
/** An endpoint that takes longer to answer is late: it gets fewer slots. */
const SOON_MS = 1000
/** What of a lease is for what comes before the POST and for recording; an attempt has its five seconds in between. */
const CLAIM_MS_MAX = 1000
const RECORD_MS_MAX = 3000
/** After the database did not take a claim, or took too long. */
const PAUSE_MS = 250

export function createDeliveries(deps: DeliveryDeps): Deliveries {
  const { db, log, metrics } = deps
  const endpoints = createEndpoints()
  const underWay = new Set<Promise<void>>()
  const records = createGroupCommit<FinishedAttempt, undefined>({
    commit: async (finished) => {
      await whileItIsAway(() => recordAttempts(db, finished))
      return finished.map(() => undefined)
    },
    sizeBytes: ({ made }) => 200 + (made?.outcome.responseBody?.length ?? 0),
    rowsPerCommitMax: 500,
    bytesPerCommitMax: 4 * 1024 * 1024,
    waitingRowsMax: 10_000,
    waitingBytesMax: 64 * 1024 * 1024,
    concurrentCommitsMax: 2,
    deadlineMs: RECORD_MS_MAX,
  })
  let isStopped = false
  let claiming: Promise<void> | undefined
  let looking: NodeJS.Timeout | undefined

  /** One claim at a time, for all endpoints together: what is rung for meanwhile is in the next one. */
  function pump(): void {
    if (isStopped || claiming !== undefined) return
    const wishes = endpoints.wishes()
    if (wishes.length === 0) return
    claiming = claim(wishes).finally(() => {
      claiming = undefined
      pump()
    })
  }

  async function claim(wishes: readonly Wish[]): Promise<void> {
    endpoints.begin(wishes)
    const isLate = timeLimit(CLAIM_MS_MAX)
    const claimed = await claimAttempts(db, wishes).catch((err) => {
      log.warn({ err }, 'webhooks could not be claimed; they stay due')
      return undefined
    })
    const isInTime = claimed !== undefined && !isLate()
    const attempts = isInTime ? claimed : []
    endpoints.claimed(wishes, attempts)
    for (const attempt of attempts) {
      const made = makeAttempt(deps, { record: records.submit, isLate }, attempt).then((manner) => {
        underWay.delete(made)
        endpoints.finished(attempt.merchantId, attempt.isRetry, manner)
        pump()
      })
      underWay.add(made)
    }
    if (isInTime) return
    if (claimed !== undefined) await giveBack(deps, claimed)
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }

  async function look(): Promise<void> {
    const startedAt = performance.now()
    try {
      for (const { merchantId, isRetry, wasSilent } of await findDue(db)) {
        endpoints.wake(merchantId, isRetry, wasSilent)
      }
      pump()
    } catch (err) {
      log.warn({ err }, 'cannot look for due webhooks')
    }
    metrics.webhookEndpointsAtLimit.set(endpoints.countAtLimit())
    const pauseMs = Math.min((performance.now() - startedAt) * LOOK_PAUSE, LOOK_PAUSE_MS_MAX)
    if (!isStopped) looking = setTimeout(look, Math.max(LOOK_INTERVAL_MS, pauseMs))
  }

  return {
    async ring(bell) {
      // Bells tell of first attempts, and of those that begin anew; retries are found when their time has come.
      endpoints.wake(merchantOfBell(bell), false)
      pump()
      return undefined
    },
    start() {
      looking = setTimeout(look, 0)
    },
    async stop() {
      isStopped = true
      clearTimeout(looking)
      await claiming
      await Promise.all(underWay)
      await records.drain()
    },
  }
}

/** A database that restarts must not make us send again what was sent: recording is tried for a while, even of what took its five seconds within the lease. */
async function whileItIsAway(record: () => Promise<void>): Promise<void> {
  const giveUpAt = performance.now() + RECORD_MS_MAX
  for (;;) {
    try {
      return await record()
    } catch (error) {
      if (!isUnavailable(error) || performance.now() > giveUpAt) throw error
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }
}

/**
 * A question that is answered with true once so much time has passed. By two clocks: one stands still while a laptop
 * sleeps, the other may be set back.
 */
function timeLimit(ms: number): () => boolean {
  const [ticks, time] = [performance.now(), Date.now()]
  return () => performance.now() - ticks > ms || Date.now() - time > ms
}

/** What was claimed too long ago must not be sent: its lease could end, and somebody else begin, meanwhile. */
async function giveBack(
  { db, log, metrics }: Pick<DeliveryDeps, 'db' | 'log' | 'metrics'>,
  attempts: readonly ClaimedAttempt[],
): Promise<void> {
  log.warn({ count: attempts.length }, 'claims of webhooks took too long; they are due again')
  metrics.webhookAttempts.inc({ outcome: 'not_begun' }, attempts.length)
  await releaseAttempts(db, attempts).catch((err) =>
    log.warn({ err }, 'claims could not be given back; their leases run out'),
  )
}

interface Attempting {
  record: (finished: FinishedAttempt) => Promise<undefined>
  /** Whether it is too late to be sent within the lease. */
  isLate: () => boolean
}

/** Signs, posts, records; answers how the endpoint took it, if it was tried. Never rejects. */
async function makeAttempt(
  deps: DeliveryDeps,
  { record, isLate }: Attempting,
  attempt: ClaimedAttempt,
): Promise<Manner | undefined> {
  const { db, outbound, log, metrics, testIntervals } = deps
  const { deliveryId, url, secret, previousSecrets, number, failedBefore, event, merchantId, requestId } =
    attempt
  const ids = { delivery: deliveryId, merchant: merchantId, event, attempt: number, requestId }
  try {
    if (url === null) {
      log.info({ ...ids, outcome: 'no_url' }, 'webhook given up')
      metrics.webhookAttempts.inc({ outcome: 'no_url' })
      await record({ attempt, made: undefined, nextInMs: undefined })
      return undefined
    }
    const body = Buffer.from(attempt.body)
    const at = new Date()
    const timestamp = Math.floor(at.getTime() / 1000)
    const current = secret ?? (await ensureSecret(db, merchantId))
    const secrets = { current, previous: previousSecrets }
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Sluice-Webhooks/1',
      ...signatureHeaders({ id: deliveryId, timestamp, body, secrets }),
    }
    if (isLate()) {
      await giveBack(deps, [attempt])
      return undefined
    }
    const result = await outbound.post(url, { headers, body })
    const outcome = outcomeOf(result, new Date())
    const { status, responseCode, error, retryAfterMs } = outcome
    const nextInMs =
      status === 'success'
        ? undefined
        : retryDelayMs({ attempts: failedBefore + 1, retryAfterMs, test: testIntervals })
    const durationMs = Math.round(result.durationMs)
    log.info(
      {
        ...ids,
        outcome: error ?? responseCode,
        ...(result.is === 'failed' ? { problem: result.message } : {}),
        durationMs,
        lateMs: Math.round(attempt.lateMs),
        ...(nextInMs === undefined ? {} : { nextInMs }),
      },
      'webhook attempt',
    )
    metrics.webhookAttempts.inc({
      outcome: status === 'success' ? 'success' : (error ?? 'refused_by_receiver'),
    })
    metrics.webhookDuration.observe(durationMs / 1000)
    metrics.webhookAge.observe(Math.max(0, attempt.lateMs) / 1000)
    await record({ attempt, made: { at, durationMs, outcome }, nextInMs })
    if (error !== null) return 'silent'
    return durationMs < SOON_MS ? 'soon' : 'late'
  } catch (err) {
    // The lease runs out, and the delivery is due again.
    log.error({ ...ids, err }, 'an attempt could not be recorded')
    return undefined
  }
}
