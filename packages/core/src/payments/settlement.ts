// Settlement: the steps that payments and refunds share, from the row through the bank's response to the end.
//
// Each step is one commit. It reads from the locked rows where the work is, so that a repeated step changes nothing.
//   1. Lock the row and decide the next step. The decision is a pure function of the rows.
//   2. Take the step in the same commit.
//   3. When the bank is to be asked, ask it without a lock or connection, store its response, and go back to 1.
//   4. Otherwise end the job, or snooze it until the row is due.
import type { Database, Tx } from '../platform/database.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import type { JobHandler } from '../platform/job.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Tracing } from '../platform/tracing.ts'
import type { WorkTable } from '../platform/work-table.ts'
import type { Publishing } from '../webhooks/index.ts'
import type { Bank, BankResponse } from './bank.ts'
import type { FailureReason } from './payment-status.ts'

export interface SettlementDeps {
  db: Database
  bank: Bank
  webhooks: Enqueuer
  metrics: Metrics
  log: Logger
  tracing?: Tracing | undefined
}

/** The next step of a row, decided from the rows alone. */
export type SettlementStep =
  | { is: 'nothing' }
  | { is: 'snooze'; forMs: number }
  | { is: 'ask' }
  | { is: 'succeed' }
  | { is: 'fail'; failure: FailureReason; cause: string }

/** A locked row with the values that its commit sees. */
export interface LockedRow {
  id: string
  status: string
  requestId: string
  /** Negative when the row is overdue. */
  dueInMs: number
  bankResponse: BankResponse | null
}

/** How the job goes on after the commit of a step. */
export type StepOutcome = 'ask_bank' | JobEnd

interface JobEnd {
  /** The outcome in the jobs metric. */
  counted: 'already_done' | 'not_due' | 'waiting' | 'done'
  snoozeMs?: number
  /** For a settled row: `success`, or the error code. */
  settledAs?: string
}

/** One kind of row that a bank settles. */
export interface Settlement<Row extends LockedRow> {
  work: WorkTable
  lock: (tx: Tx, id: string) => Promise<Row | undefined>
  /** Decides the next step of the locked row and takes it in the same commit. */
  takeStep: (tx: Tx, publishing: Publishing, row: Row) => Promise<StepOutcome>
  /** Asks the bank. After a crash it asks again with the same id. */
  askBank: (row: Row) => Promise<BankResponse>
  /** The ids for the log line of a settled row. */
  logFields: (row: Row) => Record<string, string>
}

/** The job handler for one kind of row. */
export function createSettlementHandler<Row extends LockedRow>(
  { db, webhooks, metrics, log, tracing }: SettlementDeps,
  { work, lock, takeStep, askBank, logFields }: Settlement<Row>,
): JobHandler {
  const count = (outcome: string) => metrics.jobs.inc({ queue: work.job.queue, outcome })

  const lockAndTakeStep = (id: string) =>
    db.atomically(async (tx, afterCommit) => {
      const row = await lock(tx, id)
      return row && { row, outcome: await takeStep(tx, { webhooks, afterCommit }, row) }
    })

  function logSettled(row: Row, outcome: string, startedAt: number): void {
    const durationMs = Math.round((performance.now() - startedAt) * 10) / 10
    log.info({ ...logFields(row), requestId: row.requestId, outcome, durationMs }, `${work.kind} settled`)
  }

  return async (id) => {
    const startedAt = performance.now()
    for (;;) {
      const taken = await lockAndTakeStep(id)
      if (taken === undefined) return void count('missing')
      const { row, outcome } = taken
      tracing?.nameRequest(row.requestId)
      if (outcome === 'ask_bank') {
        await storeResponse(db, work, id, await askBank(row))
        continue
      }
      const { counted, snoozeMs, settledAs } = outcome
      count(counted)
      if (settledAs !== undefined) logSettled(row, settledAs, startedAt)
      return snoozeMs === undefined ? undefined : { snoozeMs }
    }
  }
}

/** Stores the response before it has any effect. Of two responses the first one counts. */
async function storeResponse(
  db: Database,
  { kind, table }: WorkTable,
  id: string,
  response: BankResponse,
): Promise<void> {
  await db.query({
    name: `store-bank-response-to-${kind}`,
    text: `
      UPDATE ${table}
      SET bank_answer = $2, bank_asked_at = coalesce(bank_asked_at, clock_timestamp()),
          due_at = clock_timestamp() + $3::float8 * interval '1 millisecond'
      WHERE id = $1 AND bank_answer IS NULL AND status = 'pending'`,
    values: [id, JSON.stringify(response), response.settlesInMs],
  })
}
