// Processing a refund: ask the bank, wait for it without holding anything, settle. As with payments, each step is a commit that finds out from the rows where it is.
import type { ScenarioName } from '@sluice/contracts'
import type { Database, Tx } from '../platform/database.ts'
import type { Logger } from '../platform/logger.ts'
import type { JobHandler } from '../platform/queue.ts'
import { type Publishing, publish } from '../webhooks/index.ts'
import { processRefundJob } from './jobs.ts'
import { readPayment } from './payment.ts'
import { type Failure, moveRefund } from './payment-status.ts'
import type { ProcessDeps } from './process.ts'
import type { BankAnswer } from './processor.ts'
import { refundOnTheWire } from './refund.ts'

/** A refund and its payment, as they are now. */
export interface RefundAtWork {
  id: string
  paymentId: string
  merchantId: string
  status: string
  amount: number
  currency: string
  scenario: ScenarioName | null
  requestId: string
  /** Until it is due; negative when it is overdue. */
  dueInMs: number
  bankAnswer: BankAnswer | null
  /** Whether its payment was successful and its pending and processed refunds are within its amount. */
  isCovered: boolean
}

export type NextRefundStep =
  | { is: 'nothing' }
  | { is: 'look_again'; inMs: number }
  | { is: 'ask' }
  | { is: 'process' }
  | { is: 'fail'; failure: Failure; cause: string }

/** What is to be done next for a refund. */
export function nextRefundStep(refund: RefundAtWork): NextRefundStep {
  const { bankAnswer } = refund
  if (refund.status !== 'pending') return { is: 'nothing' }
  if (refund.dueInMs > 0) return { is: 'look_again', inMs: Math.ceil(refund.dueInMs) }
  if (!refund.isCovered) {
    const errorDescription = 'The payment does not cover the refund'
    return { is: 'fail', failure: { errorCode: 'REFUND_NOT_COVERED', errorDescription }, cause: 'worker' }
  }
  if (bankAnswer === null) return { is: 'ask' }
  if (bankAnswer.outcome === 'success') return { is: 'process' }
  return { is: 'fail', failure: bankAnswer, cause: 'bank' }
}

/** The handler of a refund's job. */
export function createRefundHandler(deps: ProcessDeps): JobHandler {
  const { db, bank, metrics, tracing } = deps
  const count = (outcome: string) => metrics.jobs.inc({ queue: processRefundJob.queue, outcome })

  return async function processRefund(id) {
    const startedAt = performance.now()
    for (;;) {
      const taken = await db.atomically((tx, afterCommit) =>
        takeStep(tx, { webhooks: deps.webhooks, afterCommit }, id),
      )
      if (taken === undefined) return void count('missing')
      const { refund, step } = taken
      tracing?.nameRequest(refund.requestId)
      switch (step.is) {
        case 'nothing':
          return void count('already_done')
        case 'look_again':
          count('not_due')
          return { lookAgainInMs: step.inMs }
        case 'ask': {
          const { paymentId, scenario, amount, currency } = refund
          await storeAnswer(
            db,
            id,
            await bank.refund({ refundId: id, paymentId, scenario, amount, currency }),
          )
          break // to the next step, which is to wait for the bank
        }
        case 'process':
        case 'fail':
          logSettled(deps.log, refund, step, performance.now() - startedAt)
          return void count('done')
      }
    }
  }
}

/** Looks at the refund, held, and settles it in the same commit once the bank has answered. */
async function takeStep(
  tx: Tx,
  publishing: Publishing,
  id: string,
): Promise<{ refund: RefundAtWork; step: NextRefundStep } | undefined> {
  const refund = await lockRefund(tx, id)
  if (refund === undefined) return undefined
  const step = nextRefundStep(refund)
  const { requestId } = refund
  if (step.is === 'process' || step.is === 'fail') {
    const moved =
      step.is === 'process'
        ? await moveRefund(tx, 'refund_processed', { id, cause: 'bank', requestId })
        : await moveRefund(tx, 'refund_failed', { id, cause: step.cause, requestId, failure: step.failure })
    if (moved === undefined) throw new Error('a refund that was held as pending could not be moved')
    const { merchantId, paymentId } = refund
    const event = step.is === 'process' ? 'refund.processed' : 'refund.failed'
    const data = { refund: refundOnTheWire(moved), payment: await readPayment(tx, paymentId) }
    await publish(tx, publishing, [{ merchantId, event, data, requestId }])
  }
  return { refund, step }
}

async function lockRefund(tx: Tx, id: string): Promise<RefundAtWork | undefined> {
  const [refund] = await tx.query<RefundAtWork>({
    name: 'lock-refund',
    text: `
      SELECT r.id, r.payment_id AS "paymentId", r.merchant_id AS "merchantId", r.status, r.amount::float8, p.currency,
             p.bank_scenario AS scenario, r.request_id AS "requestId",
             (extract(epoch FROM r.due_at - now()) * 1000)::float8 AS "dueInMs", r.bank_answer AS "bankAnswer",
             p.status = 'success' AND p.refunded_amount <= p.amount AND r.amount <= p.refunded_amount AS "isCovered"
      FROM refunds r JOIN payments p ON p.id = r.payment_id
      WHERE r.id = $1 FOR NO KEY UPDATE OF r`,
    values: [id],
  })
  return refund
}

/** Once, before anything follows from it: of two answers the first one counts. */
async function storeAnswer(db: Database, id: string, answer: BankAnswer): Promise<void> {
  await db.batch({
    name: 'store-bank-answer-to-refund',
    text: `
      UPDATE refunds SET bank_answer = $2, bank_asked_at = clock_timestamp(),
                         due_at = clock_timestamp() + $3::float8 * interval '1 millisecond'
      WHERE id = $1 AND bank_answer IS NULL AND status = 'pending'`,
    values: [id, JSON.stringify(answer), answer.settlesInMs],
  })
}

function logSettled(log: Logger, refund: RefundAtWork, step: NextRefundStep, durationMs: number): void {
  const { id, paymentId, requestId } = refund
  log.info(
    {
      refund: id,
      payment: paymentId,
      requestId,
      outcome: step.is === 'fail' ? step.failure.errorCode : 'processed',
      durationMs: Math.round(durationMs * 10) / 10,
    },
    'refund settled',
  )
}
