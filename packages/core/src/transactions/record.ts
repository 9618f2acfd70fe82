// Recording a delivered transaction: durable first, in one commit with whatever else arrived; then its job is rung for.
import { majorAmountProblem, type TransactionDelivery } from '@sluice/contracts'
import type { Database } from '../platform/database.ts'
import { badRequest, isDataError, isTransientConflict, unavailable } from '../platform/errors.ts'
import { createGroupCommit } from '../platform/group-commit.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Queueing } from '../platform/queue.ts'
import type { Tracing } from '../platform/tracing.ts'
import { isConflict, readStored, recordConflicts } from './conflicts.ts'
import { createInserter, type InsertTransactions } from './insert.ts'
import { processTransactionJob } from './jobs.ts'

export interface RecorderDeps {
  db: Database
  queueing: Queueing
  metrics: Metrics
  log: Logger
  /** How long the simulated external processing takes. */
  processingDelayMs: number
  tracing?: Tracing | undefined
}

/** One delivery as it is stored. */
export interface DeliveredTransaction extends TransactionDelivery {
  /** The raw body, UTF-8 without NUL (JSON has none). */
  payload: Buffer
  requestId: string
}

/** With the trace of its request: a commit is shared, and its jobs are not. */
type TracedTransaction = DeliveredTransaction & { trace?: string }

/** What became of a delivery. A redelivery is no error: the first one stands. */
export type RecordOutcome = 'accepted' | 'duplicate' | 'conflict'

export interface TransactionRecorder {
  /**
   * Resolves once the delivery is durable. Rejects with BAD_REQUEST_ERROR for a wrong currency or amount, and
   * SERVICE_UNAVAILABLE, in under a second, when it cannot be stored.
   */
  record: (delivery: DeliveredTransaction) => Promise<RecordOutcome>
  drain: () => Promise<void>
}

/**
 * A delivery that is not durable by then is answered 503. Half a second is what a 202 may take; a contradiction is
 * recorded after that in as much again, so that every answer comes within a second.
 */
const DEADLINE_MS = 430

/** A server that refuses everything would fill the log. */
const FAILURE_LOG_INTERVAL_MS = 1000
let failuresTellableFrom = 0

/**
 * While no more rows than this are under way, and for a while were not, a commit's jobs are enqueued by the API itself,
 * right behind it. Beyond, which is a burst, they are left to the dispatcher, since enqueueing costs far more than storing.
 */
const CALM_LOAD_MAX = 32
const CALM_AFTER_MS = 250

function watchForBursts(): (load: number) => boolean {
  let calmFrom = 0
  return (load) => {
    const now = performance.now()
    if (load > CALM_LOAD_MAX) calmFrom = now + CALM_AFTER_MS
    return now >= calmFrom
  }
}

export function createTransactionRecorder(deps: RecorderDeps): TransactionRecorder {
  const { tracing } = deps
  const shared = {
    sizeBytes: sizeInStatement,
    rowsPerCommitMax: 1000,
    bytesPerCommitMax: 8 * 1024 * 1024,
    waitingRowsMax: 20_000,
    waitingBytesMax: 64 * 1024 * 1024,
    deadlineMs: DEADLINE_MS,
  }
  // Apart, since these lock rows that somebody else may hold: new deliveries must not wait behind them.
  const conflicts = createGroupCommit<TracedTransaction, RecordOutcome>({
    ...shared,
    concurrentCommitsMax: 1,
    commit: (rows) => recordConflicts(deps, rows).catch((error) => failCommit(deps, rows, error)),
  })
  const committing: Committing = {
    ...deps,
    insertNew: createInserter(deps.db, deps.processingDelayMs),
    isCalm: watchForBursts(),
    recordConflict: conflicts.submit,
  }
  const group = createGroupCommit<TracedTransaction, RecordOutcome>({
    ...shared,
    concurrentCommitsMax: 2,
    commit: (rows, load) =>
      commitDeliveries(committing, rows, load).catch((error) => failCommit(deps, rows, error)),
  })
  deps.metrics.observeIngestLoad('transaction', group.load)
  return {
    record(delivery) {
      const problem = majorAmountProblem(delivery.amount, delivery.currency)
      if (problem !== undefined) return Promise.reject(badRequest(problem))
      return group.submit(tracing === undefined ? delivery : { ...delivery, trace: tracing.current() })
    },
    async drain() {
      await group.drain()
      await conflicts.drain()
    },
  }
}

/** What commits share. */
interface Committing extends RecorderDeps {
  insertNew: InsertTransactions
  isCalm: (load: number) => boolean
  recordConflict: (delivery: TracedTransaction) => Promise<RecordOutcome>
}

/** Stores a group: first deliveries in one statement, then, if any were redeliveries, finds what they say differently. */
async function commitDeliveries(
  deps: Committing,
  deliveries: readonly TracedTransaction[],
  load: number,
): Promise<Array<RecordOutcome | Promise<RecordOutcome>>> {
  const startedAt = performance.now()
  const firsts = firstOfEachId(deliveries)
  const enqueueNow = deps.isCalm(load) && deps.queueing.isReadyForFew()
  const insertedCount = await deps.insertNew(firsts, enqueueNow)
  const stored = insertedCount === deliveries.length ? undefined : await readStored(deps.db, firsts)
  const isNew = (delivery: DeliveredTransaction) =>
    stored === undefined || stored.get(delivery.transaction_id)?.requestId === delivery.requestId

  const accepted = stored === undefined ? firsts : firsts.filter(isNew)
  if (enqueueNow) enqueueBehindCommit(deps, accepted)
  else deps.metrics.enqueued.inc({ kind: 'transaction', outcome: 'left' }, accepted.length)

  const outcomes = deliveries.map((delivery): RecordOutcome => {
    if (stored === undefined || isNew(delivery)) return 'accepted'
    return isConflict(delivery, stored) ? 'conflict' : 'duplicate'
  })
  observe(deps, deliveries, outcomes, performance.now() - startedAt)
  if (stored === undefined) return outcomes
  return outcomes.map((outcome, i) =>
    outcome === 'conflict' ? deps.recordConflict(deliveries[i]!) : outcome,
  )
}

/** Whatever keeps a commit from becoming durable is for another try; only the rows' own faults and deadlocks are not. */
function failCommit({ log }: RecorderDeps, rows: readonly unknown[], err: unknown): never {
  if (isTransientConflict(err) || isDataError(err)) throw err
  if (performance.now() >= failuresTellableFrom) {
    failuresTellableFrom = performance.now() + FAILURE_LOG_INTERVAL_MS
    log.warn({ err, rows: rows.length }, 'a commit failed; its deliveries are answered 503')
  }
  throw unavailable(err)
}

/** The group's ids once each, sorted: statements that share ids in different order would deadlock. */
function firstOfEachId(deliveries: readonly TracedTransaction[]): TracedTransaction[] {
  const sorted = deliveries.toSorted((a, b) =>
    a.transaction_id < b.transaction_id ? -1 : a.transaction_id > b.transaction_id ? 1 : 0,
  )
  return sorted.filter((delivery, i) => delivery.transaction_id !== sorted[i - 1]?.transaction_id)
}

/** Nobody waits for this: a job that is not added, or lost, is the dispatcher's to find. */
function enqueueBehindCommit(
  { queueing, metrics, log, processingDelayMs }: RecorderDeps,
  rows: readonly TracedTransaction[],
): void {
  if (rows.length === 0) return
  const count = (outcome: string) => metrics.enqueued.inc({ kind: 'transaction', outcome }, rows.length)
  queueing
    .enqueue(
      processTransactionJob,
      rows.map((row) => ({ id: row.transaction_id, delayMs: processingDelayMs, trace: row.trace })),
    )
    .then(
      () => count('ok'),
      (err) => {
        count('failed')
        log.debug({ err, rows: rows.length }, 'jobs not enqueued; the dispatcher will find them')
      },
    )
}

function observe(
  { metrics, log }: RecorderDeps,
  deliveries: readonly DeliveredTransaction[],
  outcomes: readonly RecordOutcome[],
  durationMs: number,
): void {
  metrics.ingestRows.observe({ kind: 'transaction' }, outcomes.length)
  metrics.ingestDuration.observe({ kind: 'transaction' }, durationMs / 1000)
  const counts = { accepted: 0, duplicate: 0, conflict: 0 }
  for (const outcome of outcomes) counts[outcome]++
  for (const [outcome, count] of Object.entries(counts)) {
    if (count > 0) metrics.ingested.inc({ kind: 'transaction', outcome }, count)
  }
  if (!log.isLevelEnabled('debug')) return
  const requests = deliveries.map((delivery) => [delivery.requestId, delivery.transaction_id])
  log.debug({ ...counts, durationMs, requests }, 'transactions recorded')
}

/** What a row takes of the statement's bytes, in UTF-16 units, which is near enough for a bound. */
const sizeInStatement = (row: DeliveredTransaction) =>
  row.payload.length +
  row.transaction_id.length +
  row.source_account.length +
  row.destination_account.length +
  64
