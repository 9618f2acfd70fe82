// The delivery loop of a worker: leases due attempts for all endpoints at once, makes them, and records them.
//
// 1. Poll: every 100 ms find the endpoints that have something due. A job's wake-up adds one endpoint sooner.
// 2. Ask the endpoint scheduler for quotas: how many attempts each endpoint may begin now.
// 3. Lease that many due deliveries, for all endpoints in one statement. The surplus stays due as rows: it holds no
//    slot and no connection, and it uses up no attempt.
// 4. Make each leased attempt and record it.
// 5. Report the endpoint's health to the scheduler, and go on with step 2.
import type { GroupCommit } from '../platform/group-commit.ts'
import type { JobHandler } from '../platform/job.ts'
import { type LeasedAttempt, leaseAttempts, type Quota } from './attempt-leases.ts'
import { findDueEndpoints } from './due-endpoints.ts'
import { createEndpointScheduler, type EndpointScheduler } from './endpoint-scheduler.ts'
import { merchantOfWakeUp } from './jobs.ts'
import { type AttemptDeps, giveBack, makeAttempt } from './make-attempt.ts'
import { createAttemptRecorder, type EndedAttempt } from './record-attempts.ts'

export type DeliveryLoopDeps = AttemptDeps

export interface DeliveryLoop {
  /** The handler of a webhook's job: the id names the merchant whose endpoint has something due. */
  wakeUp: (id: string) => Promise<undefined>
  start: () => void
  /** Begins no more attempts, and waits for those in flight. */
  stop: () => Promise<void>
}

const POLL_INTERVAL_MS = 100
/** With very many open endpoints a poll takes long; then the pause after it is this many times as long. */
const POLL_PAUSE_FACTOR = 4
const POLL_PAUSE_MS_MAX = 1000
/** The part of a lease for what comes before the POST; recording has its own part, and the POST its five seconds. */
const LEASE_AGE_MS_MAX = 1000
/** After the database failed to lease, or took too long. */
const PAUSE_MS = 250

interface LoopState {
  deps: DeliveryLoopDeps
  scheduler: EndpointScheduler
  recorder: GroupCommit<EndedAttempt, undefined>
  inFlight: Set<Promise<void>>
  isStopped: boolean
  leasing: Promise<void> | undefined
  pollTimer: NodeJS.Timeout | undefined
}

/** The handler of webhooks' jobs. */
export const createWakeUpHandler = ({ deliveryLoop }: { deliveryLoop: DeliveryLoop }): JobHandler =>
  deliveryLoop.wakeUp

export function createDeliveryLoop(deps: DeliveryLoopDeps): DeliveryLoop {
  const state: LoopState = {
    deps,
    scheduler: createEndpointScheduler(),
    recorder: createAttemptRecorder(deps.db),
    inFlight: new Set(),
    isStopped: false,
    leasing: undefined,
    pollTimer: undefined,
  }
  return {
    async wakeUp(id) {
      // Jobs exist for first attempts and manual retries only; polling finds retries when they are due.
      state.scheduler.wakeUp(merchantOfWakeUp(id), false)
      beginAttempts(state)
      return undefined
    },
    start() {
      state.pollTimer = setTimeout(poll, 0, state)
    },
    async stop() {
      state.isStopped = true
      clearTimeout(state.pollTimer)
      await state.leasing
      await Promise.all(state.inFlight)
      await state.recorder.drain()
    },
  }
}

async function poll(state: LoopState): Promise<void> {
  const { deps, scheduler } = state
  const startedAt = performance.now()
  try {
    for (const { merchantId, isRetry, wasUnresponsive } of await findDueEndpoints(deps.db)) {
      scheduler.wakeUp(merchantId, isRetry, wasUnresponsive)
    }
    beginAttempts(state)
  } catch (err) {
    deps.log.warn({ err }, 'cannot poll for due webhooks')
  }
  deps.metrics.webhookEndpointsAtLimit.set(scheduler.countAtLimit())
  const pauseMs = Math.min((performance.now() - startedAt) * POLL_PAUSE_FACTOR, POLL_PAUSE_MS_MAX)
  if (!state.isStopped) state.pollTimer = setTimeout(poll, Math.max(POLL_INTERVAL_MS, pauseMs), state)
}

/** One lease statement at a time, for all endpoints together; a wake-up meanwhile is part of the next one. */
function beginAttempts(state: LoopState): void {
  if (state.isStopped || state.leasing !== undefined) return
  const quotas = state.scheduler.quotas()
  if (quotas.length === 0) return
  state.leasing = leaseAndBegin(state, quotas).finally(() => {
    state.leasing = undefined
    beginAttempts(state)
  })
}

async function leaseAndBegin(state: LoopState, quotas: readonly Quota[]): Promise<void> {
  const { deps, scheduler } = state
  scheduler.begin(quotas)
  const isTooOld = startTimeLimit(LEASE_AGE_MS_MAX)
  const leased = await leaseAttempts(deps.db, quotas).catch((err) => {
    deps.log.warn({ err }, 'cannot lease webhook attempts; they stay due')
    return undefined
  })
  const isInTime = leased !== undefined && !isTooOld()
  const attempts = isInTime ? leased : []
  scheduler.leased(quotas, attempts)
  for (const attempt of attempts) beginAttempt(state, attempt, isTooOld)
  if (isInTime) return
  if (leased !== undefined) await giveBack(deps, leased)
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
}

function beginAttempt(state: LoopState, attempt: LeasedAttempt, isTooOld: () => boolean): void {
  const { deps, recorder, scheduler, inFlight } = state
  const made = makeAttempt(deps, { record: recorder.submit, isTooOld }, attempt).then((health) => {
    inFlight.delete(made)
    scheduler.ended(attempt.merchantId, attempt.isRetry, health)
    beginAttempts(state)
  })
  inFlight.add(made)
}

/**
 * Returns a function that is true once the time has passed. It reads two clocks: the monotonic one stops while a
 * laptop sleeps, and the wall clock may be set back.
 */
function startTimeLimit(ms: number): () => boolean {
  const [ticks, time] = [performance.now(), Date.now()]
  return () => performance.now() - ticks > ms || Date.now() - time > ms
}
