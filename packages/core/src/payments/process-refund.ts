// Processing a refund: what the bank makes of it (bank-work.ts).
import type { ScenarioName } from '@sluice/contracts'
import type { Tx } from '../platform/database.ts'
import type { JobHandler } from '../platform/queue.ts'
import { type Publishing, publish } from '../webhooks/index.ts'
import { createBankHandler, type NextStep, type ProcessDeps, type RowAtWork } from './bank-work.ts'
import { refundWork } from './jobs.ts'
import { readPayment } from './payment.ts'
import { moveRefund } from './payment-status.ts'
import { refundOnTheWire } from './refund.ts'

/** A refund and its payment, as they are now. */
export interface RefundAtWork extends RowAtWork {
  paymentId: string
  merchantId: string
  amount: number
  currency: string
  scenario: ScenarioName | null
  /** Whether its payment was successful and its pending and processed refunds are within its amount. */
  isCovered: boolean
}

/** What is to be done next for a refund. */
export function nextRefundStep(refund: RefundAtWork): NextStep {
  const { bankAnswer } = refund
  if (refund.status !== 'pending') return { is: 'nothing' }
  if (refund.dueInMs > 0) return { is: 'look_again', inMs: Math.ceil(refund.dueInMs) }
  if (!refund.isCovered) {
    const errorDescription = 'The payment does not cover the refund'
    return { is: 'fail', failure: { errorCode: 'REFUND_NOT_COVERED', errorDescription }, cause: 'worker' }
  }
  if (bankAnswer === null) return { is: 'ask' }
  if (bankAnswer.outcome === 'success') return { is: 'succeed' }
  return { is: 'fail', failure: bankAnswer, cause: 'bank' }
}

/** The handler of a refund's job. */
export const createRefundHandler = (deps: ProcessDeps): JobHandler =>
  createBankHandler<RefundAtWork>(deps, {
    work: refundWork,
    takeStep,
    ask: ({ id, paymentId, scenario, amount, currency }) =>
      deps.bank.refund({ refundId: id, paymentId, scenario, amount, currency }),
    logged: ({ id, paymentId }) => ({ refund: id, payment: paymentId }),
  })

/** Looks at the refund, held, and settles it in the same commit once the bank has answered. */
async function takeStep(
  tx: Tx,
  publishing: Publishing,
  id: string,
): Promise<{ row: RefundAtWork; step: NextStep } | undefined> {
  const refund = await lockRefund(tx, id)
  if (refund === undefined) return undefined
  const step = nextRefundStep(refund)
  const { requestId } = refund
  if (step.is === 'succeed' || step.is === 'fail') {
    const moved =
      step.is === 'succeed'
        ? await moveRefund(tx, 'refund_processed', { id, cause: 'bank', requestId })
        : await moveRefund(tx, 'refund_failed', { id, cause: step.cause, requestId, failure: step.failure })
    if (moved === undefined) throw new Error('a refund that was held as pending could not be moved')
    const { merchantId, paymentId } = refund
    const event = step.is === 'succeed' ? 'refund.processed' : 'refund.failed'
    const data = { refund: refundOnTheWire(moved), payment: await readPayment(tx, paymentId) }
    await publish(tx, publishing, [{ merchantId, event, data, requestId }])
  }
  return { row: refund, step }
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
