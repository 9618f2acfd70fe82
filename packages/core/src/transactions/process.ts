// Ending a transaction: the worker re-reads the row and moves it once, in one guarded update with whatever else is due.
import type { Database } from '../platform/database.ts'
import { createGroupCommit } from '../platform/group-commit.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { JobOutcome } from '../platform/queue.ts'
import { textArray } from '../platform/text-array.ts'
import type { Tracing } from '../platform/tracing.ts'

export interface ProcessorDeps {
  db: Database
  metrics: Metrics
  log: Logger
  tracing?: Tracing | undefined
}

/** `missing`: there is no such row (removed since). `not_due`: rung for too early, by this much. */
type ProcessOutcome =
  | { is: 'processed'; requestId: string }
  | { is: 'already_processed' | 'missing' }
  | { is: 'not_due'; forMs: number }

export interface TransactionProcessor {
  /** Ends the transaction if it is due and nobody has; doing it again changes nothing. */
  processTransaction: (transactionId: string) => Promise<JobOutcome>
  drain: () => Promise<void>
}

export function createTransactionProcessor(deps: ProcessorDeps): TransactionProcessor {
  const group = createGroupCommit<string, ProcessOutcome>({
    commit: (ids) => commitProcessed(deps, ids),
    sizeBytes: (id) => id.length,
    rowsPerCommitMax: 500,
    bytesPerCommitMax: 1024 * 1024,
    waitingRowsMax: 20_000,
    waitingBytesMax: 16 * 1024 * 1024,
    concurrentCommitsMax: 2,
    deadlineMs: 10_000,
  })
  return {
    async processTransaction(transactionId) {
      const outcome = await group.submit(transactionId)
      deps.metrics.jobs.inc({ queue: 'transactions', outcome: outcome.is })
      if (outcome.is === 'processed') deps.tracing?.nameRequest(outcome.requestId)
      return outcome.is === 'not_due' ? { lookAgainInMs: outcome.forMs } : undefined
    },
    drain: group.drain,
  }
}

async function commitProcessed(deps: ProcessorDeps, ids: readonly string[]): Promise<ProcessOutcome[]> {
  const startedAt = performance.now()
  const distinct = [...new Set(ids)]
  const requestIds = await markProcessed(deps.db, distinct)
  const others =
    requestIds.size === distinct.length
      ? new Map<string, ProcessOutcome>()
      : await whyNot(
          deps.db,
          distinct.filter((id) => !requestIds.has(id)),
        )
  const durationMs = performance.now() - startedAt
  logProcessed(deps.log, requestIds, durationMs)
  return ids.map((id) => {
    const requestId = requestIds.get(id)
    if (requestId !== undefined) return { is: 'processed', requestId }
    return others.get(id) ?? { is: 'missing' }
  })
}

/** The guarded move, in order of id so that two workers cannot deadlock. Answers the request ids of the rows it moved. */
async function markProcessed(db: Database, ids: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await db.batch({
    name: 'process-transactions',
    text: `
      WITH due AS (
        SELECT transaction_id FROM transactions
        WHERE transaction_id = ANY($1::text[]) AND processed_at IS NULL AND due_at <= now()
        ORDER BY transaction_id FOR UPDATE
      )
      UPDATE transactions AS t SET processed_at = now() FROM due WHERE t.transaction_id = due.transaction_id
      RETURNING t.transaction_id, t.request_id`,
    values: [textArray(ids, (id) => id)],
  })
  return new Map(rows as Array<[string, string]>)
}

async function whyNot(db: Database, ids: readonly string[]): Promise<Map<string, ProcessOutcome>> {
  const { rows } = await db.batch({
    name: 'unprocessed-transactions',
    text: `
      SELECT transaction_id, processed_at IS NOT NULL, greatest(1, ceil(extract(epoch FROM due_at - now()) * 1000))::float8
      FROM transactions WHERE transaction_id = ANY($1::text[])`,
    values: [textArray(ids, (id) => id)],
  })
  return new Map(
    (rows as Array<[string, boolean, number]>).map(([id, isProcessed, notDueForMs]) => [
      id,
      isProcessed ? { is: 'already_processed' } : { is: 'not_due', forMs: notDueForMs },
    ]),
  )
}

/** One line for each commit, the unit of work here, with the first of its requests to follow. */
function logProcessed(log: Logger, requestIds: ReadonlyMap<string, string>, durationMs: number): void {
  if (requestIds.size === 0) return
  // All of them where somebody follows single requests, else a few to begin from.
  const sample = [...requestIds].slice(0, log.isLevelEnabled('debug') ? requestIds.size : 5)
  log.info(
    {
      count: requestIds.size,
      transactionIds: sample.map(([id]) => id),
      requestIds: sample.map(([, requestId]) => requestId),
      durationMs: Math.round(durationMs * 10) / 10,
    },
    'transactions processed',
  )
}
