// Processing a payment: it claims its order, asks the bank, and settles payment and order together (decision 0016).
import type { ScenarioName } from '@sluice/contracts'
import type { Tx } from '../platform/database.ts'
import type { JobHandler } from '../platform/job.ts'
import { type Publishing, publish } from '../webhooks/index.ts'
import { paymentWork } from './jobs.ts'
import { type PaymentRow, paymentOnTheWire } from './payment.ts'
import { type FailureReason, movePayment } from './payment-status.ts'
import {
  createSettlementHandler,
  type LockedRow,
  type SettlementDeps,
  type SettlementStep,
  type StepOutcome,
} from './settlement.ts'

/** A locked payment, with its order and the payment that has claimed the order. */
export interface LockedPayment extends LockedRow {
  orderId: string
  merchantId: string
  amount: number
  currency: string
  method: 'upi' | 'card'
  scenario: ScenarioName | null
  bankWasAsked: boolean
  orderIsPaid: boolean
  /** The id of the payment that has claimed the order. */
  claimedBy: string | null
  claimantDueInMs: number | null
  /** Since the payment was created. */
  ageMs: number
}

/** `wait`: another payment of the order is at the bank. */
type PaymentStep = SettlementStep | { is: 'wait'; forMs: number }

/** Payments that wait for one order pause a quarter of their age, so that they do not all come at once. */
const WAIT_MS_MIN = 100
const WAIT_MS_MAX = 2000

const alreadyPaid: PaymentStep = {
  is: 'fail',
  failure: { errorCode: 'ORDER_ALREADY_PAID', errorDescription: 'The order was paid by another payment' },
  cause: 'another payment paid the order',
}

/** Decides the next step of a payment. */
export function nextPaymentStep(payment: LockedPayment): PaymentStep {
  const { bankResponse, claimedBy } = payment
  if (payment.status !== 'pending') return { is: 'nothing' }
  if (payment.dueInMs > 0) return { is: 'snooze', forMs: Math.ceil(payment.dueInMs) }
  if (payment.orderIsPaid) return alreadyPaid
  if (claimedBy !== null && claimedBy !== payment.id) {
    const pauseMs = Math.min(Math.max(WAIT_MS_MIN, Math.ceil(payment.ageMs / 4)), WAIT_MS_MAX)
    return { is: 'wait', forMs: Math.max(0, Math.ceil(payment.claimantDueInMs ?? 0)) + pauseMs }
  }
  if (bankResponse === null) return { is: 'ask' }
  if (bankResponse.outcome === 'success') return { is: 'succeed' }
  return { is: 'fail', failure: bankResponse, cause: 'bank' }
}

/** The handler of a payment's job. */
export const createPaymentHandler = (deps: SettlementDeps): JobHandler =>
  createSettlementHandler<LockedPayment>(deps, {
    work: paymentWork,
    lock: lockPaymentAndOrder,
    takeStep,
    askBank: ({ id, method, scenario, amount, currency }) =>
      deps.bank.charge({ paymentId: id, method, scenario, amount, currency }),
    logFields: ({ id, orderId }) => ({ payment: id, order: orderId }),
  })

async function takeStep(tx: Tx, publishing: Publishing, payment: LockedPayment): Promise<StepOutcome> {
  const step = nextPaymentStep(payment)
  switch (step.is) {
    case 'nothing':
      return { counted: 'already_done' }
    case 'snooze':
      return { counted: 'not_due', snoozeMs: step.forMs }
    case 'wait':
      await postpone(tx, payment, step.forMs)
      return { counted: 'waiting', snoozeMs: step.forMs }
    case 'ask':
      if (!payment.bankWasAsked) await claimOrder(tx, payment)
      return 'ask_bank'
    case 'succeed':
      await succeed(tx, publishing, payment)
      return { counted: 'done', settledAs: 'success' }
    case 'fail':
      await fail(tx, publishing, payment, step)
      return { counted: 'done', settledAs: step.failure.errorCode }
  }
}

async function succeed(tx: Tx, publishing: Publishing, payment: LockedPayment): Promise<void> {
  const { id, requestId } = payment
  const [, moved] = await Promise.all([
    payOrder(tx, payment),
    movePayment(tx, 'success', { id, cause: 'bank', requestId }),
  ])
  await publishSettled(tx, publishing, payment, 'payment.success', moved)
}

async function fail(
  tx: Tx,
  publishing: Publishing,
  payment: LockedPayment,
  { failure, cause }: { failure: FailureReason; cause: string },
): Promise<void> {
  const { id, requestId } = payment
  const [, moved] = await Promise.all([
    releaseOrder(tx, payment),
    movePayment(tx, 'failed', { id, cause, requestId, failure }),
  ])
  await publishSettled(tx, publishing, payment, 'payment.failed', moved)
}

async function publishSettled(
  tx: Tx,
  publishing: Publishing,
  { merchantId, requestId }: LockedPayment,
  event: 'payment.success' | 'payment.failed',
  moved: PaymentRow | undefined,
): Promise<void> {
  if (moved === undefined) throw new Error('a payment that was locked as pending could not be moved')
  await publish(tx, publishing, [
    { merchantId, event, data: { payment: paymentOnTheWire(moved) }, requestId },
  ])
}

const inMs = (time: string) => `(extract(epoch FROM ${time} - now()) * 1000)::float8`

const LOCK_PAYMENT_AND_ORDER = `
  SELECT p.id, p.order_id AS "orderId", p.merchant_id AS "merchantId", p.status, p.amount::float8, p.currency, p.method,
         p.bank_scenario AS scenario, p.request_id AS "requestId", ${inMs('p.due_at')} AS "dueInMs",
         p.bank_asked_at IS NOT NULL AS "bankWasAsked", p.bank_answer AS "bankResponse",
         o.status = 'paid' AS "orderIsPaid", o.claimed_by AS "claimedBy",
         ${inMs('claimant.due_at')} AS "claimantDueInMs", -${inMs('p.created_at')} AS "ageMs"
  FROM payments p JOIN orders o ON o.id = p.order_id LEFT JOIN payments claimant ON claimant.id = o.claimed_by
  WHERE p.id = $1 FOR NO KEY UPDATE OF p, o`

async function lockPaymentAndOrder(tx: Tx, id: string): Promise<LockedPayment | undefined> {
  const [payment] = await tx.query<LockedPayment>({
    name: 'lock-payment-and-order',
    text: LOCK_PAYMENT_AND_ORDER,
    values: [id],
  })
  return payment
}

const postpone = (tx: Tx, { id }: LockedPayment, forMs: number) =>
  tx.query({
    name: 'postpone-payment',
    text: `UPDATE payments SET due_at = now() + $2::float8 * interval '1 millisecond' WHERE id = $1`,
    values: [id, forMs],
  })

const CLAIM_ORDER = `
  WITH claimed AS (
    UPDATE orders SET claimed_by = $1 WHERE id = $2
  ), asked AS (
    UPDATE payments SET bank_asked_at = clock_timestamp() WHERE id = $1 RETURNING amount
  )
  INSERT INTO payment_log (payment_id, change, amount, cause, request_id)
  SELECT $1, 'bank_asked', amount, 'worker', $3 FROM asked`

/** The order belongs to this payment until the payment fails: no other payment asks the bank meanwhile. */
const claimOrder = (tx: Tx, { id, orderId, requestId }: LockedPayment) =>
  tx.query({ name: 'claim-order', text: CLAIM_ORDER, values: [id, orderId, requestId] })

const payOrder = (tx: Tx, { orderId }: LockedPayment) =>
  tx.query({
    name: 'pay-order',
    text: `UPDATE orders SET status = 'paid', updated_at = later_than(updated_at) WHERE id = $1`,
    values: [orderId],
  })

const releaseOrder = (tx: Tx, { id, orderId }: LockedPayment) =>
  tx.query({
    name: 'release-order',
    text: `UPDATE orders SET claimed_by = NULL WHERE id = $1 AND claimed_by = $2 AND status <> 'paid'`,
    values: [orderId, id],
  })
