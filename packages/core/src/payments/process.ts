// Processing a payment: claim its order, and then what the bank makes of it (bank-work.ts).
import type { ScenarioName } from '@sluice/contracts'
import type { Tx } from '../platform/database.ts'
import type { JobHandler } from '../platform/queue.ts'
import { type Publishing, publish } from '../webhooks/index.ts'
import { createBankHandler, type NextStep, type ProcessDeps, type RowAtWork } from './bank-work.ts'
import { paymentWork } from './jobs.ts'
import { type PaymentRow, paymentOnTheWire } from './payment.ts'
import { movePayment } from './payment-status.ts'

/** A payment, its order and the payment that holds the order, as they are now. */
export interface PaymentAtWork extends RowAtWork {
  orderId: string
  merchantId: string
  amount: number
  currency: string
  method: 'upi' | 'card'
  scenario: ScenarioName | null
  bankWasAsked: boolean
  orderIsPaid: boolean
  claimedBy: string | null
  /** Of the payment that holds the order. */
  claimantDueInMs: number | null
  /** Since it was made. */
  ageMs: number
}

/** Those that wait for the same order look again the more seldom the longer they have waited: so they don't come all at once. */
const WAIT_MS_MIN = 100
const WAIT_MS_MAX = 2000

const alreadyPaid: NextStep = {
  is: 'fail',
  failure: { errorCode: 'ORDER_ALREADY_PAID', errorDescription: 'The order was paid by another payment' },
  cause: 'another payment paid the order',
}

/** What is to be done next for a payment. */
export function nextPaymentStep(payment: PaymentAtWork): NextStep {
  const { bankAnswer, claimedBy } = payment
  if (payment.status !== 'pending') return { is: 'nothing' }
  if (payment.dueInMs > 0) return { is: 'look_again', inMs: Math.ceil(payment.dueInMs) }
  if (payment.orderIsPaid) return alreadyPaid
  if (claimedBy !== null && claimedBy !== payment.id) {
    const patienceMs = Math.min(Math.max(WAIT_MS_MIN, Math.ceil(payment.ageMs / 4)), WAIT_MS_MAX)
    return { is: 'wait', forMs: Math.max(0, Math.ceil(payment.claimantDueInMs ?? 0)) + patienceMs }
  }
  if (bankAnswer === null) return { is: 'ask' }
  if (bankAnswer.outcome === 'success') return { is: 'succeed' }
  return { is: 'fail', failure: bankAnswer, cause: 'bank' }
}

/** The handler of a payment's job. */
export const createPaymentHandler = (deps: ProcessDeps): JobHandler =>
  createBankHandler<PaymentAtWork>(deps, {
    work: paymentWork,
    takeStep,
    ask: ({ id, method, scenario, amount, currency }) =>
      deps.bank.charge({ paymentId: id, method, scenario, amount, currency }),
    logged: ({ id, orderId }) => ({ payment: id, order: orderId }),
  })

/** Looks at the payment with its order held, and does in the same commit what needs nobody else. */
async function takeStep(
  tx: Tx,
  publishing: Publishing,
  id: string,
): Promise<{ row: PaymentAtWork; step: NextStep } | undefined> {
  const payment = await lockPaymentAndOrder(tx, id)
  if (payment === undefined) return undefined
  const step = nextPaymentStep(payment)
  const { orderId, requestId } = payment
  switch (step.is) {
    case 'wait':
      await tx.query({
        name: 'payment-waits',
        text: `UPDATE payments SET due_at = now() + $2::float8 * interval '1 millisecond' WHERE id = $1`,
        values: [id, step.forMs],
      })
      break
    case 'ask':
      if (!payment.bankWasAsked) await claimOrder(tx, payment)
      break
    case 'succeed': {
      const moved = movePayment(tx, 'success', { id, cause: 'bank', requestId })
      await tell(tx, publishing, payment, 'payment.success', await settle(payOrder(tx, orderId), moved))
      break
    }
    case 'fail': {
      const { cause, failure } = step
      const moved = movePayment(tx, 'failed', { id, cause, requestId, failure })
      await tell(tx, publishing, payment, 'payment.failed', await settle(releaseOrder(tx, payment), moved))
      break
    }
  }
  return { row: payment, step }
}

const tell = (
  tx: Tx,
  publishing: Publishing,
  { merchantId, requestId }: PaymentAtWork,
  event: 'payment.success' | 'payment.failed',
  row: PaymentRow,
) => publish(tx, publishing, [{ merchantId, event, data: { payment: paymentOnTheWire(row) }, requestId }])

/** The order and its payment change together, or not at all. */
async function settle(
  order: Promise<unknown>,
  payment: Promise<PaymentRow | undefined>,
): Promise<PaymentRow> {
  const [, moved] = await Promise.all([order, payment])
  if (moved === undefined) throw new Error('a payment that was held as pending could not be moved')
  return moved
}

async function lockPaymentAndOrder(tx: Tx, id: string): Promise<PaymentAtWork | undefined> {
  const inMs = (time: string) => `(extract(epoch FROM ${time} - now()) * 1000)::float8`
  const [payment] = await tx.query<PaymentAtWork>({
    name: 'lock-payment-and-order',
    text: `
      SELECT p.id, p.order_id AS "orderId", p.merchant_id AS "merchantId", p.status, p.amount::float8, p.currency, p.method,
             p.bank_scenario AS scenario, p.request_id AS "requestId", ${inMs('p.due_at')} AS "dueInMs",
             p.bank_asked_at IS NOT NULL AS "bankWasAsked", p.bank_answer AS "bankAnswer",
             o.status = 'paid' AS "orderIsPaid", o.claimed_by AS "claimedBy",
             ${inMs('claimant.due_at')} AS "claimantDueInMs", -${inMs('p.created_at')} AS "ageMs"
      FROM payments p JOIN orders o ON o.id = p.order_id LEFT JOIN payments claimant ON claimant.id = o.claimed_by
      WHERE p.id = $1 FOR NO KEY UPDATE OF p, o`,
    values: [id],
  })
  return payment
}

/** The order is this payment's until it fails: nobody else asks the bank meanwhile. */
const claimOrder = (tx: Tx, { id, orderId, requestId }: PaymentAtWork) =>
  tx.query({
    name: 'claim-order',
    text: `
      WITH claimed AS (
        UPDATE orders SET claimed_by = $1 WHERE id = $2
      ), asked AS (
        UPDATE payments SET bank_asked_at = clock_timestamp() WHERE id = $1 RETURNING amount
      )
      INSERT INTO payment_log (payment_id, change, amount, cause, request_id)
      SELECT $1, 'bank_asked', amount, 'worker', $3 FROM asked`,
    values: [id, orderId, requestId],
  })

const payOrder = (tx: Tx, orderId: string) =>
  tx.query({
    name: 'pay-order',
    text: `UPDATE orders SET status = 'paid', updated_at = later_than(updated_at) WHERE id = $1`,
    values: [orderId],
  })

const releaseOrder = (tx: Tx, { id, orderId }: PaymentAtWork) =>
  tx.query({
    name: 'release-order',
    text: `UPDATE orders SET claimed_by = NULL WHERE id = $1 AND claimed_by = $2 AND status <> 'paid'`,
    values: [orderId, id],
  })
