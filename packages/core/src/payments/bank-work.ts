// Work that a bank settles, payments and refunds alike: look at the row, ask the bank, wait for it without holding anything, settle. Each step is a commit that finds out from the rows where it is, so that a step which runs twice, or is taken over by another worker, changes nothing.
import type { Database, Tx } from '../platform/database.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { JobHandler } from '../platform/queue.ts'
import type { Tracing } from '../platform/tracing.ts'
import type { WorkTable } from '../platform/work-table.ts'
import type { Publishing } from '../webhooks/index.ts'
import type { Failure } from './payment-status.ts'
import type { BankAnswer, PaymentProcessor } from './processor.ts'

export interface ProcessDeps {
  db: Database
  bank: PaymentProcessor
  webhooks: Enqueuer
  metrics: Metrics
  log: Logger
  tracing?: Tracing | undefined
}

/** What is to be done next, found out from the rows alone. */
export type NextStep =
  | { is: 'nothing' }
  | { is: 'look_again'; inMs: number }
  /** Something else is at the bank first. */
  | { is: 'wait'; forMs: number }
  | { is: 'ask' }
  | { is: 'succeed' }
  | { is: 'fail'; failure: Failure; cause: string }

/** A row that is held, as it is now. */
export interface RowAtWork {
  id: string
  status: string
  requestId: string
  /** Until it is due; negative when it is overdue. */
  dueInMs: number
  bankAnswer: BankAnswer | null
}

/** How one kind of row goes through its steps. */
export interface BankWork<Row extends RowAtWork> {
  work: WorkTable
  /** Looks at the row, held, and does in the same commit what needs nobody else. */
  takeStep: (tx: Tx, publishing: Publishing, id: string) => Promise<{ row: Row; step: NextStep } | undefined>
  /** Asks the bank, which may be the second time. */
  ask: (row: Row) => Promise<BankAnswer>
  /** What the log line of a settled one says of it. */
  logged: (row: Row) => Record<string, string>
}

/** The handler of such work's job. */
export function createBankHandler<Row extends RowAtWork>(
  { db, webhooks, metrics, log, tracing }: ProcessDeps,
  { work, takeStep, ask, logged }: BankWork<Row>,
): JobHandler {
  const count = (outcome: string) => metrics.jobs.inc({ queue: work.job.queue, outcome })

  return async (id) => {
    const startedAt = performance.now()
    for (;;) {
      const taken = await db.atomically((tx, afterCommit) => takeStep(tx, { webhooks, afterCommit }, id))
      if (taken === undefined) return void count('missing')
      const { row, step } = taken
      tracing?.nameRequest(row.requestId)
      switch (step.is) {
        case 'nothing':
          return void count('already_done')
        case 'look_again':
          count('not_due')
          return { snoozeMs: step.inMs }
        case 'wait':
          count('waiting')
          return { snoozeMs: step.forMs }
        case 'ask':
          await storeAnswer(db, work, id, await ask(row))
          break // to the next step, which is to wait for the bank
        case 'succeed':
        case 'fail': {
          const outcome = step.is === 'fail' ? step.failure.errorCode : 'success'
          const durationMs = Math.round((performance.now() - startedAt) * 10) / 10
          log.info({ ...logged(row), requestId: row.requestId, outcome, durationMs }, `${work.kind} settled`)
          return void count('done')
        }
      }
    }
  }
}

/** Once, before anything follows from it: of two answers the first one counts. */
async function storeAnswer(
  db: Database,
  { kind, table }: WorkTable,
  id: string,
  answer: BankAnswer,
): Promise<void> {
  await db.batch({
    name: `store-bank-answer-to-${kind}`,
    text: `
      UPDATE ${table}
      SET bank_answer = $2, bank_asked_at = coalesce(bank_asked_at, clock_timestamp()),
          due_at = clock_timestamp() + $3::float8 * interval '1 millisecond'
      WHERE id = $1 AND bank_answer IS NULL AND status = 'pending'`,
    values: [id, JSON.stringify(answer), answer.settlesInMs],
  })
}
