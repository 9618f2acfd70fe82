// What must hold of orders, payments and refunds.
import type { Invariant } from './invariant.ts'

const refundsWithinPayments: Invariant = {
  name: 'The pending and processed refunds of a payment are what it says, and within its amount',
  sql: `
    SELECT p.id, format('%s of %s are refunded, its refunds say %s', p.refunded_amount, p.amount, coalesce(r.sum, 0)) AS problem
    FROM payments p
    LEFT JOIN (
      SELECT payment_id, sum(amount) AS sum FROM refunds WHERE status IN ('pending', 'processed') GROUP BY payment_id
    ) AS r ON r.payment_id = p.id
    WHERE coalesce(r.sum, 0) <> p.refunded_amount OR coalesce(r.sum, 0) > p.amount
       OR (coalesce(r.sum, 0) > 0 AND p.status <> 'success')`,
}

const oneSuccessForAnOrder: Invariant = {
  name: 'An order is paid by exactly one payment, or by none and not paid',
  sql: `
    SELECT o.id, format('it is %s, claimed by %s, and has %s successful payments (%s)',
                        o.status, coalesce(o.claimed_by, 'none'), coalesce(s.count, 0), s.ids) AS problem
    FROM orders o
    LEFT JOIN (
      SELECT order_id, count(*) AS count, string_agg(id, ', ') AS ids FROM payments WHERE status = 'success' GROUP BY order_id
    ) AS s ON s.order_id = o.id
    WHERE coalesce(s.count, 0) <> (o.status = 'paid')::int OR (o.status = 'paid' AND o.claimed_by IS DISTINCT FROM s.ids)`,
}

const claimsAreAlive: Invariant = {
  name: 'An order that is not paid is held by nobody, or by a pending payment that asks the bank',
  sql: `
    SELECT o.id, format('it is held by %s, which is %s%s', o.claimed_by, coalesce(p.status, 'not there'),
                        CASE WHEN p.bank_asked_at IS NULL THEN ' and did not ask' ELSE '' END) AS problem
    FROM orders o LEFT JOIN payments p ON p.id = o.claimed_by AND p.order_id = o.id
    WHERE o.status <> 'paid' AND o.claimed_by IS NOT NULL AND (p.status IS DISTINCT FROM 'pending' OR p.bank_asked_at IS NULL)
    UNION ALL
    SELECT p.id, format('it asks the bank for %s, which is held by %s', o.id, coalesce(o.claimed_by, 'nobody'))
    FROM payments p JOIN orders o ON o.id = p.order_id
    WHERE p.status = 'pending' AND p.bank_asked_at IS NOT NULL AND o.claimed_by IS DISTINCT FROM p.id`,
}

const noPaymentWithoutItsOrder: Invariant = {
  name: 'A payment has its order, and the same merchant, amount and currency',
  sql: `
    SELECT p.id, CASE WHEN o.id IS NULL THEN format('its order %s is not there', p.order_id)
                      ELSE format('it differs from its order %s', p.order_id) END AS problem
    FROM payments p LEFT JOIN orders o ON o.id = p.order_id
    WHERE o.id IS NULL OR (o.merchant_id, o.amount, o.currency) IS DISTINCT FROM (p.merchant_id, p.amount, p.currency)`,
}

const noRefundWithoutItsPayment: Invariant = {
  name: 'A refund has its payment, and the same merchant',
  sql: `
    SELECT r.id, format('its payment %s is not there, or is of another merchant', r.payment_id) AS problem
    FROM refunds r LEFT JOIN payments p ON p.id = r.payment_id
    WHERE p.id IS NULL OR p.merchant_id <> r.merchant_id`,
}

const tooLateForAnother: Invariant = {
  name: 'A payment that came too late has an order that another one paid',
  sql: `
    SELECT p.id, format('%s was paid by no other', p.order_id) AS problem
    FROM payments p
    WHERE p.status = 'failed' AND p.error_code = 'ORDER_ALREADY_PAID'
      AND NOT EXISTS (SELECT FROM payments s WHERE s.order_id = p.order_id AND s.status = 'success' AND s.id <> p.id)`,
}

/** Of a row `work` and the entry `l` of its failure: what else than the bank lets one fail is for others to check. */
const contradictsBank = (success: string) => `(
  (work.status = '${success}' AND work.bank_answer->>'outcome' IS DISTINCT FROM 'success')
  OR (work.status = 'failed' AND work.bank_answer->>'outcome' = 'success')
  OR (work.status = 'failed' AND l.cause = 'bank'
      AND (work.bank_answer->>'outcome', work.bank_answer->>'errorCode') IS DISTINCT FROM ('failed', work.error_code)))`

const saidByBank = `format('it is %s (%s); the bank said: %s', work.status, coalesce(work.error_code, 'no error'), coalesce(work.bank_answer::text, 'nothing'))`

/** Those of the method `gateway` are ended by notifications. */
const paymentsAreWhatTheBankSaid: Invariant = {
  name: 'A payment ended as the bank said, unless nobody asked it',
  sql: `
    SELECT work.id, ${saidByBank} AS problem
    FROM payments work LEFT JOIN payment_log l ON l.payment_id = work.id AND l.refund_id IS NULL AND l.change = 'failed'
    WHERE work.method <> 'gateway' AND ${contradictsBank('success')}`,
}

const refundsAreWhatTheBankSaid: Invariant = {
  name: 'A refund ended as the bank said, unless nobody asked it',
  sql: `
    SELECT work.id, ${saidByBank} AS problem
    FROM refunds work LEFT JOIN payment_log l ON l.refund_id = work.id AND l.change = 'refund_failed'
    WHERE ${contradictsBank('processed')}`,
}

/** Whoever sends a request again is told of what there is. */
const answersNameWhatIsThere: Invariant = {
  name: 'The stored answer to a request with a key names something of that merchant',
  sql: `
    SELECT k.key AS id, format('its answer names %s, which is not there', k.response->>'id') AS problem
    FROM idempotency_keys k
    LEFT JOIN (
      SELECT id, merchant_id FROM orders UNION ALL SELECT id, merchant_id FROM payments
      UNION ALL SELECT id, merchant_id FROM refunds
    ) AS known ON known.id = k.response->>'id' AND known.merchant_id = k.merchant_id
    WHERE k.expires_at > now() AND k.response->>'id' ~ '^(order|pay|rfnd)_' AND known.id IS NULL`,
}

export const moneyInvariants: readonly Invariant[] = [
  refundsWithinPayments,
  oneSuccessForAnOrder,
  claimsAreAlive,
  noPaymentWithoutItsOrder,
  noRefundWithoutItsPayment,
  tooLateForAnother,
  paymentsAreWhatTheBankSaid,
  refundsAreWhatTheBankSaid,
  answersNameWhatIsThere,
]
