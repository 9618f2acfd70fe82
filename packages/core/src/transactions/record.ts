// Recording a delivered transaction: durable first, in one commit with whatever else arrived; then its job is rung for.
import { majorAmountProblem, type TransactionDelivery } from '@sluice/contracts'
import type { Database } from '../platform/database.ts'
import { badRequest, isUnavailable, unavailable } from '../platform/errors.ts'
import { createGroupCommit } from '../platform/group-commit.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Queueing } from '../platform/queue.ts'
import { textArray } from '../platform/text-array.ts'
import type { Tracing } from '../platform/tracing.ts'
import { isConflict, readStored, recordConflicts } from './conflicts.ts'
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
 * While no more rows than this are under way, a commit's jobs are enqueued by the API itself, right behind it. Beyond,
 * which is a burst, they are left to the dispatcher, since enqueueing costs far more than storing.
 */
const ENQUEUE_LOAD_MAX = 32

export function createTransactionRecorder(deps: RecorderDeps): TransactionRecorder {
  const { tracing } = deps
  const group = createGroupCommit<TracedTransaction, RecordOutcome>({
    commit: (deliveries, load) =>
      commitDeliveries(deps, deliveries, load).catch((error) => {
        throw isUnavailable(error) ? unavailable(error) : error
      }),
    sizeBytes: sizeInStatement,
    rowsPerCommitMax: 1000,
    bytesPerCommitMax: 8 * 1024 * 1024,
    waitingRowsMax: 20_000,
    waitingBytesMax: 64 * 1024 * 1024,
    concurrentCommitsMax: 2,
    deadlineMs: 700,
  })
  return {
    record(delivery) {
      const problem = majorAmountProblem(delivery.amount, delivery.currency)
      if (problem !== undefined) return Promise.reject(badRequest(problem))
      return group.submit(tracing === undefined ? delivery : { ...delivery, trace: tracing.current() })
    },
    drain: group.drain,
  }
}

/** Stores a group: first deliveries in one statement, then, if any were redeliveries, what they say differently. */
async function commitDeliveries(
  deps: RecorderDeps,
  deliveries: readonly TracedTransaction[],
  load: number,
): Promise<RecordOutcome[]> {
  const startedAt = performance.now()
  const firsts = firstOfEachId(deliveries)
  const enqueueNow = load <= ENQUEUE_LOAD_MAX && deps.queueing.isReady()
  const insertedCount = await insertNew(deps, firsts, enqueueNow)
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
  await recordConflicts(
    deps,
    deliveries.filter((_, i) => outcomes[i] === 'conflict'),
  )
  observe(deps, outcomes, performance.now() - startedAt)
  return outcomes
}

/** The group's ids once each, sorted: statements that share ids in different order would deadlock. */
function firstOfEachId(deliveries: readonly TracedTransaction[]): TracedTransaction[] {
  const sorted = deliveries.toSorted((a, b) =>
    a.transaction_id < b.transaction_id ? -1 : a.transaction_id > b.transaction_id ? 1 : 0,
  )
  return sorted.filter((delivery, i) => delivery.transaction_id !== sorted[i - 1]?.transaction_id)
}

/**
 * Inserts what is not there yet and answers how many rows that were; which, their request ids tell. Whether a row's job is rung for right behind the commit is
 * decided here, in the INSERT: an UPDATE after the enqueue would cost more than the enqueue (measured).
 */
async function insertNew(
  { db, processingDelayMs }: RecorderDeps,
  rows: readonly DeliveredTransaction[],
  enqueueNow: boolean,
): Promise<number> {
  const { rowCount } = await db.batch({
    name: 'insert-transactions',
    text: `
      INSERT INTO transactions (transaction_id, source_account, destination_account, amount, currency, payload,
                                request_id, due_at, enqueued_at)
      SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[])::numeric,
             unnest($5::text[]), unnest($6::text[]), unnest($7::text[]),
             now() + $8::float8 * interval '1 millisecond', CASE WHEN $9::boolean THEN now() END
      ON CONFLICT (transaction_id) DO NOTHING`,
    values: [
      textArray(rows, (row) => row.transaction_id),
      textArray(rows, (row) => row.source_account),
      textArray(rows, (row) => row.destination_account),
      textArray(rows, (row) => String(row.amount)),
      textArray(rows, (row) => row.currency),
      textArray(rows, (row) => row.payload),
      textArray(rows, (row) => row.requestId),
      processingDelayMs,
      enqueueNow,
    ],
  })
  return rowCount
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
  log.debug({ ...counts, durationMs }, 'transactions recorded')
}

/** What a row takes of the statement's bytes, in UTF-16 units, which is near enough for a bound. */
const sizeInStatement = (row: DeliveredTransaction) =>
  row.payload.length +
  row.transaction_id.length +
  row.source_account.length +
  row.destination_account.length +
  64
