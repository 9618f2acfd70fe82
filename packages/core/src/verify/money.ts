// Invariants of orders, payments and refunds.
import type { Invariant } from './invariant.ts'

const refundsWithinPayments: Invariant = {
  name: "A payment's refunded amount is the sum of its pending and processed refunds, and within its amount",
  sql: `
    SELECT p.id, format('refunded_amount is %s of %s, its refunds add up to %s', p.refunded_amount, p.amount, coalesce(r.sum, 0)) AS problem
    FROM payments p
    LEFT JOIN (
      SELECT payment_id, sum(amount) AS sum FROM refunds WHERE status IN ('pending', 'processed') GROUP BY payment_id
    ) AS r ON r.payment_id = p.id
    WHERE coalesce(r.sum, 0) <> p.refunded_amount OR coalesce(r.sum, 0) > p.amount
       OR (coalesce(r.sum, 0) > 0 AND p.status <> 'success')`,
}

const oneSuccessForAnOrder: Invariant = {
  name: 'A paid order has exactly one successful payment, an unpaid order has none',
  sql: `
    SELECT o.id, format('it is %s, claimed by %s, and has %s successful payments (%s)',
                        o.status, coalesce(o.claimed_by, 'none'), coalesce(s.count, 0), s.ids) AS problem
    FROM orders o
    LEFT JOIN (
      SELECT order_id, count(*) AS count, string_agg(id, ', ') AS ids FROM payments WHERE status = 'success' GROUP BY order_id
    ) AS s ON s.order_id = o.id
    WHERE coalesce(s.count, 0) <> (o.status = 'paid')::int OR (o.status = 'paid' AND o.claimed_by IS DISTINCT FROM s.ids)`,
}

const claimsAreOpen: Invariant = {
  name: 'An unpaid order is unclaimed, or claimed by a pending payment that asked the bank',
  sql: `
    SELECT o.id, format('it is claimed by %s, which is %s%s', o.claimed_by, coalesce(p.status, 'missing'),
                        CASE WHEN p.bank_asked_at IS NULL THEN ' and did not ask the bank' ELSE '' END) AS problem
    FROM orders o LEFT JOIN payments p ON p.id = o.claimed_by AND p.order_id = o.id
    WHERE o.status <> 'paid' AND o.claimed_by IS NOT NULL AND (p.status IS DISTINCT FROM 'pending' OR p.bank_asked_at IS NULL)
    UNION ALL
    SELECT p.id, format('it asked the bank, but its order %s is claimed by %s', o.id, coalesce(o.claimed_by, 'no payment'))
    FROM payments p JOIN orders o ON o.id = p.order_id
    WHERE p.status = 'pending' AND p.bank_asked_at IS NOT NULL AND o.claimed_by IS DISTINCT FROM p.id`,
}

const noPaymentWithoutItsOrder: Invariant = {
  name: 'A payment has an order with the same merchant, amount and currency',
  sql: `
    SELECT p.id, CASE WHEN o.id IS NULL THEN format('its order %s is missing', p.order_id)
                      ELSE format('it differs from its order %s', p.order_id) END AS problem
    FROM payments p LEFT JOIN orders o ON o.id = p.order_id
    WHERE o.id IS NULL OR (o.merchant_id, o.amount, o.currency) IS DISTINCT FROM (p.merchant_id, p.amount, p.currency)`,
}

const noRefundWithoutItsPayment: Invariant = {
  name: 'A refund has a payment of the same merchant',
  sql: `
    SELECT r.id, format('its payment %s is missing, or belongs to another merchant', r.payment_id) AS problem
    FROM refunds r LEFT JOIN payments p ON p.id = r.payment_id
    WHERE p.id IS NULL OR p.merchant_id <> r.merchant_id`,
}

const alreadyPaidByAnother: Invariant = {
  name: 'A payment that failed with ORDER_ALREADY_PAID has an order that another payment paid',
  sql: `
    SELECT p.id, format('no other payment paid its order %s', p.order_id) AS problem
    FROM payments p
    WHERE p.status = 'failed' AND p.error_code = 'ORDER_ALREADY_PAID'
      AND NOT EXISTS (SELECT FROM payments s WHERE s.order_id = p.order_id AND s.status = 'success' AND s.id <> p.id)`,
}

/** For a row `work` and its log entry `l` of a failure. Other invariants check failures with other causes than the bank. */
const contradictsBank = (success: string) => `(
  (work.status = '${success}' AND work.bank_answer->>'outcome' IS DISTINCT FROM 'success')
  OR (work.status = 'failed' AND work.bank_answer->>'outcome' = 'success')
  OR (work.status = 'failed' AND l.cause = 'bank'
      AND (work.bank_answer->>'outcome', work.bank_answer->>'errorCode') IS DISTINCT FROM ('failed', work.error_code)))`

const bankContradiction = `format('it is %s (%s); the bank responded: %s', work.status, coalesce(work.error_code, 'no error'), coalesce(work.bank_answer::text, 'nothing'))`

/** Notifications settle payments of the method `gateway`. */
const paymentsFollowTheBank: Invariant = {
  name: 'A payment that asked the bank ended as the bank responded',
  sql: `
    SELECT work.id, ${bankContradiction} AS problem
    FROM payments work LEFT JOIN payment_log l ON l.payment_id = work.id AND l.refund_id IS NULL AND l.change = 'failed'
    WHERE work.method <> 'gateway' AND ${contradictsBank('success')}`,
}

const refundsFollowTheBank: Invariant = {
  name: 'A refund that asked the bank ended as the bank responded',
  sql: `
    SELECT work.id, ${bankContradiction} AS problem
    FROM refunds work LEFT JOIN payment_log l ON l.refund_id = work.id AND l.change = 'refund_failed'
    WHERE ${contradictsBank('processed')}`,
}

/** A repeated request must get an object that exists. */
const responsesNameExistingObjects: Invariant = {
  name: 'The stored response of an idempotency key names an existing object of its merchant',
  sql: `
    SELECT k.key AS id, format('its response names %s, which is missing', k.response->>'id') AS problem
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
  claimsAreOpen,
  noPaymentWithoutItsOrder,
  noRefundWithoutItsPayment,
  alreadyPaidByAnother,
  paymentsFollowTheBank,
  refundsFollowTheBank,
  responsesNameExistingObjects,
]
