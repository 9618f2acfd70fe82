// Processing a refund: it asks the bank, and settles once the bank's response is due.
import type { ScenarioName } from '@sluice/contracts'
import type { Tx } from '../platform/database.ts'
import type { JobHandler } from '../platform/job.ts'
import { type Publishing, publish } from '../webhooks/index.ts'
import { refundWork } from './jobs.ts'
import { readPayment } from './payment.ts'
import { type FailureReason, moveRefund } from './payment-status.ts'
import { type RefundRow, refundOnTheWire } from './refund.ts'
import {
  createSettlementHandler,
  type LockedRow,
  type SettlementDeps,
  type SettlementStep,
  type StepOutcome,
} from './settlement.ts'

/** A locked refund, with the values of its payment. */
export interface LockedRefund extends LockedRow {
  paymentId: string
  merchantId: string
  amount: number
  currency: string
  scenario: ScenarioName | null
  /** Whether its payment succeeded, and the payment's pending and processed refunds are within its amount. */
  isCovered: boolean
}

const notCovered: SettlementStep = {
  is: 'fail',
  failure: { errorCode: 'REFUND_NOT_COVERED', errorDescription: 'The payment does not cover the refund' },
  cause: 'worker',
}

/** Decides the next step of a refund. */
export function nextRefundStep(refund: LockedRefund): SettlementStep {
  const { bankResponse } = refund
  if (refund.status !== 'pending') return { is: 'nothing' }
  if (refund.dueInMs > 0) return { is: 'snooze', forMs: Math.ceil(refund.dueInMs) }
  if (!refund.isCovered) return notCovered
  if (bankResponse === null) return { is: 'ask' }
  if (bankResponse.outcome === 'success') return { is: 'succeed' }
  return { is: 'fail', failure: bankResponse, cause: 'bank' }
}

/** The handler of a refund's job. */
export const createRefundHandler = (deps: SettlementDeps): JobHandler =>
  createSettlementHandler<LockedRefund>(deps, {
    work: refundWork,
    lock: lockRefund,
    takeStep,
    askBank: ({ id, paymentId, scenario, amount, currency }) =>
      deps.bank.refund({ refundId: id, paymentId, scenario, amount, currency }),
    logFields: ({ id, paymentId }) => ({ refund: id, payment: paymentId }),
  })

async function takeStep(tx: Tx, publishing: Publishing, refund: LockedRefund): Promise<StepOutcome> {
  const step = nextRefundStep(refund)
  switch (step.is) {
    case 'nothing':
      return { counted: 'already_done' }
    case 'snooze':
      return { counted: 'not_due', snoozeMs: step.forMs }
    case 'ask':
      return 'ask_bank'
    case 'succeed':
      await succeed(tx, publishing, refund)
      return { counted: 'done', settledAs: 'success' }
    case 'fail':
      await fail(tx, publishing, refund, step)
      return { counted: 'done', settledAs: step.failure.errorCode }
  }
}

async function succeed(tx: Tx, publishing: Publishing, refund: LockedRefund): Promise<void> {
  const { id, requestId } = refund
  const moved = await moveRefund(tx, 'refund_processed', { id, cause: 'bank', requestId })
  await publishSettled(tx, publishing, refund, 'refund.processed', moved)
}

async function fail(
  tx: Tx,
  publishing: Publishing,
  refund: LockedRefund,
  { failure, cause }: { failure: FailureReason; cause: string },
): Promise<void> {
  const { id, requestId } = refund
  const moved = await moveRefund(tx, 'refund_failed', { id, cause, requestId, failure })
  await publishSettled(tx, publishing, refund, 'refund.failed', moved)
}

async function publishSettled(
  tx: Tx,
  publishing: Publishing,
  { merchantId, paymentId, requestId }: LockedRefund,
  event: 'refund.processed' | 'refund.failed',
  moved: RefundRow | undefined,
): Promise<void> {
  if (moved === undefined) throw new Error('a refund that was locked as pending could not be moved')
  const data = { refund: refundOnTheWire(moved), payment: await readPayment(tx, paymentId) }
  await publish(tx, publishing, [{ merchantId, event, data, requestId }])
}

const LOCK_REFUND = `
  SELECT r.id, r.payment_id AS "paymentId", r.merchant_id AS "merchantId", r.status, r.amount::float8, p.currency,
         p.bank_scenario AS scenario, r.request_id AS "requestId",
         (extract(epoch FROM r.due_at - now()) * 1000)::float8 AS "dueInMs", r.bank_answer AS "bankResponse",
         p.status = 'success' AND p.refunded_amount <= p.amount AND r.amount <= p.refunded_amount AS "isCovered"
  FROM refunds r JOIN payments p ON p.id = r.payment_id
  WHERE r.id = $1 FOR NO KEY UPDATE OF r`

async function lockRefund(tx: Tx, id: string): Promise<LockedRefund | undefined> {
  const [refund] = await tx.query<LockedRefund>({ name: 'lock-refund', text: LOCK_REFUND, values: [id] })
  return refund
}
