// What must hold of money and work, as queries that answer what breaks it. They know the tables only, and nothing of the code that fills them.
import { HEARTBEAT_FRESH_MS } from '../platform/heartbeat.ts'
import type { WorkTable } from '../platform/work-table.ts'
import { allWork } from '../work.ts'

export interface Invariant {
  /** A sentence that is true as long as the query answers nothing. */
  name: string
  /** Answers `id` and `problem`, both text, a row for each thing that breaks it. */
  sql: string
}

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

const logMatchesPayments: Invariant = {
  name: 'The log of a payment tells how it became what it is',
  sql: `
    SELECT p.id, format('it is %s%s with %s refunded; its log: %s', p.status, CASE WHEN p.captured THEN ' and captured' ELSE '' END,
                        p.refunded_amount, coalesce(l.changes, 'nothing')) AS problem
    FROM payments p
    LEFT JOIN (
      SELECT payment_id, string_agg(change || coalesce(' ' || refund_id, ''), ', ' ORDER BY id) AS changes,
        count(*) FILTER (WHERE change = 'created') AS created, count(*) FILTER (WHERE change = 'bank_asked') AS asked, count(*) FILTER (WHERE change = 'success') AS success,
        count(*) FILTER (WHERE change = 'failed') AS failed, count(*) FILTER (WHERE change = 'captured') AS captured,
        coalesce(sum(amount) FILTER (WHERE change = 'refund_created'), 0)
          - coalesce(sum(amount) FILTER (WHERE change = 'refund_failed'), 0) AS refunded
      FROM payment_log GROUP BY payment_id
    ) AS l ON l.payment_id = p.id
    WHERE (l.created, l.asked, l.success, l.failed, l.captured, l.refunded) IS DISTINCT FROM
      (1::bigint, (p.bank_asked_at IS NOT NULL)::int::bigint, (p.status = 'success')::int::bigint, (p.status = 'failed')::int::bigint, p.captured::int::bigint, p.refunded_amount::numeric)`,
}

const logMatchesRefunds: Invariant = {
  name: 'The log of a refund tells how it became what it is',
  sql: `
    SELECT r.id, format('it is %s; its log: %s', r.status, coalesce(l.changes, 'nothing')) AS problem
    FROM refunds r
    LEFT JOIN (
      SELECT refund_id, string_agg(change, ', ' ORDER BY id) AS changes, min(amount) AS least, max(amount) AS most,
        min(payment_id) AS payment_id, count(*) FILTER (WHERE change = 'refund_created') AS created,
        count(*) FILTER (WHERE change = 'refund_processed') AS processed, count(*) FILTER (WHERE change = 'refund_failed') AS failed
      FROM payment_log WHERE refund_id IS NOT NULL GROUP BY refund_id
    ) AS l ON l.refund_id = r.id
    WHERE (l.created, l.processed, l.failed, l.least, l.most, l.payment_id) IS DISTINCT FROM
      (1::bigint, (r.status = 'processed')::int::bigint, (r.status = 'failed')::int::bigint, r.amount, r.amount, r.payment_id)`,
}

/** What SPEC 4 makes of events, without the fold that keeps it. */
const paymentsAreTheirEvents: Invariant = {
  name: 'An external payment is what the set of its events says',
  sql: `
    WITH expected AS (
      SELECT payment_id, deciding.*, terms.*, events.*,
        (SELECT coalesce(sum(amount), 0) FROM payment_events r
         WHERE r.payment_id = ids.payment_id AND r.status = 'refunded' AND r.currency = terms.currency) AS refunded_amount
      FROM (SELECT DISTINCT payment_id FROM payment_events) AS ids
      CROSS JOIN LATERAL (
        SELECT status, event_id, "timestamp" FROM payment_events e WHERE e.payment_id = ids.payment_id
        ORDER BY ${greatestFirst()} LIMIT 1) AS deciding
      CROSS JOIN LATERAL (
        SELECT amount, currency, user_id FROM payment_events e WHERE e.payment_id = ids.payment_id
        ORDER BY status = 'refunded', ${greatestFirst()} LIMIT 1) AS terms
      CROSS JOIN LATERAL (
        SELECT count(*)::int AS events_count, max(ordinal) AS last_ordinal FROM payment_events e
        WHERE e.payment_id = ids.payment_id) AS events
    )
    SELECT coalesce(e.payment_id, p.payment_id) AS id, 'it differs from its events' AS problem
    FROM expected e FULL JOIN external_payments p USING (payment_id)
    WHERE (e.status, e.event_id, e."timestamp", e.amount, e.currency, e.user_id, e.refunded_amount, e.events_count, e.last_ordinal)
      IS DISTINCT FROM
      (p.status, p.event_id, p."timestamp", p.amount, p.currency, p.user_id, p.refunded_amount::numeric, p.events_count, p.events_count)`,
}

function greatestFirst(): string {
  return `
    CASE status WHEN 'refunded' THEN 2 WHEN 'completed' THEN 1 ELSE 0 END DESC, "timestamp" DESC,
    (status = 'failed') DESC, event_id COLLATE "C" DESC`
}

/** Seconds by which work may be late while a worker is alive. */
const OVERDUE_SECONDS_MAX = 60

const workIsDone = ({ kind, table, idColumn, dueColumn, doneColumn }: WorkTable): Invariant => ({
  name: `No ${kind.replace('_', ' ')} is more than ${OVERDUE_SECONDS_MAX} s beyond its time while a worker is alive`,
  sql: `
    SELECT work.${idColumn} AS id, format('it was due at %s', work.${dueColumn}) AS problem
    FROM ${table} AS work
    WHERE work.${doneColumn} IS NULL AND work.${dueColumn} < now() - interval '${OVERDUE_SECONDS_MAX} seconds'
      AND EXISTS (SELECT FROM worker_heartbeats WHERE beat_at > now() - interval '${HEARTBEAT_FRESH_MS} milliseconds')`,
})

export const invariants: readonly Invariant[] = [
  refundsWithinPayments,
  oneSuccessForAnOrder,
  claimsAreAlive,
  noPaymentWithoutItsOrder,
  noRefundWithoutItsPayment,
  logMatchesPayments,
  logMatchesRefunds,
  paymentsAreTheirEvents,
  ...allWork.map(workIsDone),
]
