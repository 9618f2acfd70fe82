// Recording a delivered transaction: durable first, in one commit with whatever else arrived; then its job is rung for.
import { majorAmountProblem, type TransactionDelivery } from '@sluice/contracts'
import type { Database } from '../platform/database.ts'
import { badRequest, isUnavailable, unavailable } from '../platform/errors.ts'
import { createGroupCommit } from '../platform/group-commit.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Queueing } from '../platform/queue.ts'
import { findConflicts, recordConflicts } from './conflicts.ts'
import { processTransactionJob } from './jobs.ts'

export interface RecorderDeps {
  db: Database
  queueing: Queueing
  metrics: Metrics
  log: Logger
  /** How long the simulated external processing takes. */
  processingDelayMs: number
}

/** One delivery as it is stored. */
export interface DeliveredTransaction extends TransactionDelivery {
  /** The raw body. */
  payload: string
  requestId: string
}

/** What became of a delivery. A redelivery is no error: the first one stands. */
export type RecordOutcome = 'accepted' | 'duplicate' | 'conflict'

export interface TransactionRecorder {
  /**
   * Resolves once the delivery is durable. Throws BAD_REQUEST_ERROR for a wrong currency or amount, and
   * SERVICE_UNAVAILABLE, in under a second, when it cannot be stored.
   */
  record: (delivery: DeliveredTransaction) => Promise<RecordOutcome>
  drain: () => Promise<void>
}

/**
 * Commit groups up to this size are enqueued by the API itself, behind the commit; the jobs of larger ones, which only
 * a burst makes, are left to the dispatcher, since enqueueing costs far more than storing.
 */
const ENQUEUE_ROWS_MAX = 32

export function createTransactionRecorder(deps: RecorderDeps): TransactionRecorder {
  const group = createGroupCommit<DeliveredTransaction, RecordOutcome>({
    commit: (deliveries) => commitDeliveries(deps, deliveries),
    sizeBytes: sizeInStatement,
    rowsPerCommitMax: 1000,
    bytesPerCommitMax: 8 * 1024 * 1024,
    waitingRowsMax: 20_000,
    waitingBytesMax: 64 * 1024 * 1024,
    concurrentCommitsMax: 2,
    deadlineMs: 700,
  })
  return {
    async record(delivery) {
      const problem = majorAmountProblem(delivery.amount, delivery.currency)
      if (problem !== undefined) throw badRequest(problem)
      try {
        return await group.submit(delivery)
      } catch (error) {
        throw isUnavailable(error) ? unavailable(error) : error
      }
    },
    drain: group.drain,
  }
}

/** Stores a group: first deliveries in one statement, then, if any were redeliveries, what they say differently. */
async function commitDeliveries(
  deps: RecorderDeps,
  deliveries: readonly DeliveredTransaction[],
): Promise<RecordOutcome[]> {
  const startedAt = performance.now()
  const firsts = firstOfEachId(deliveries)
  const enqueueNow = firsts.length <= ENQUEUE_ROWS_MAX && deps.queueing.isReady()
  const inserted = await insertNew(deps, firsts, enqueueNow)
  if (enqueueNow) enqueueBehindCommit(deps, inserted)
  else deps.metrics.enqueued.inc({ kind: 'transaction', outcome: 'left' }, inserted.length)

  const outcomes =
    inserted.length === deliveries.length
      ? new Array<RecordOutcome>(deliveries.length).fill('accepted')
      : await outcomesWithRedeliveries(deps, deliveries, firsts, new Set(inserted))
  observe(deps, outcomes, performance.now() - startedAt)
  return outcomes
}

/** The group's ids once each, sorted: statements that share ids in different order would deadlock. */
function firstOfEachId(deliveries: readonly DeliveredTransaction[]): DeliveredTransaction[] {
  const firsts = new Map<string, DeliveredTransaction>()
  for (const delivery of deliveries) {
    if (!firsts.has(delivery.transaction_id)) firsts.set(delivery.transaction_id, delivery)
  }
  return [...firsts.values()].sort((a, b) => (a.transaction_id < b.transaction_id ? -1 : 1))
}

/**
 * Inserts what is not there yet and answers those ids. Whether a row's job is rung for right behind the commit is
 * decided here, in the INSERT: an UPDATE after the enqueue would cost more than the enqueue (measured).
 */
async function insertNew(
  { db, processingDelayMs }: RecorderDeps,
  rows: readonly DeliveredTransaction[],
  enqueueNow: boolean,
): Promise<string[]> {
  const result = await db.batch({
    name: 'insert-transactions',
    text: `
      INSERT INTO transactions (transaction_id, source_account, destination_account, amount, currency, payload,
                                request_id, due_at, enqueued_at)
      SELECT t.id, t.source, t.destination, t.amount::numeric, t.currency, t.payload, t.request_id,
             now() + $8::float8 * interval '1 millisecond', CASE WHEN $9::boolean THEN now() END
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
        AS t(id, source, destination, amount, currency, payload, request_id)
      ON CONFLICT (transaction_id) DO NOTHING
      RETURNING transaction_id`,
    values: [
      rows.map((row) => row.transaction_id),
      rows.map((row) => row.source_account),
      rows.map((row) => row.destination_account),
      rows.map((row) => String(row.amount)),
      rows.map((row) => row.currency),
      rows.map((row) => row.payload),
      rows.map((row) => row.requestId),
      processingDelayMs,
      enqueueNow,
    ],
  })
  return result.rows.map(([id]) => id as string)
}

/** Nobody waits for this: a job that is not added, or lost, is the dispatcher's to find. */
function enqueueBehindCommit(
  { queueing, metrics, log, processingDelayMs }: RecorderDeps,
  ids: string[],
): void {
  if (ids.length === 0) return
  const count = (outcome: string) => metrics.enqueued.inc({ kind: 'transaction', outcome }, ids.length)
  queueing
    .enqueue(
      processTransactionJob,
      ids.map((id) => ({ id, delayMs: processingDelayMs })),
    )
    .then(
      () => count('ok'),
      (err) => {
        count('failed')
        log.debug({ err, rows: ids.length }, 'jobs not enqueued; the dispatcher will find them')
      },
    )
}

async function outcomesWithRedeliveries(
  deps: RecorderDeps,
  deliveries: readonly DeliveredTransaction[],
  firsts: readonly DeliveredTransaction[],
  inserted: ReadonlySet<string>,
): Promise<RecordOutcome[]> {
  const isNew = new Set(firsts.filter((first) => inserted.has(first.transaction_id)))
  const redeliveries = deliveries.filter((delivery) => !isNew.has(delivery))
  const conflicts = await findConflicts(deps.db, redeliveries)
  await recordConflicts(deps, conflicts)
  const conflicting = new Set(conflicts)
  return deliveries.map((delivery) =>
    isNew.has(delivery) ? 'accepted' : conflicting.has(delivery) ? 'conflict' : 'duplicate',
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
