// Invariants of external payments, which are known only by a processor's events.
import type { Invariant } from './invariant.ts'

/** The rules of decisions 0009 and 0010 in SQL, independent of the incremental fold. */
export const paymentsAreTheirEvents: Invariant = {
  name: 'An external payment equals the fold of its events',
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
    SELECT coalesce(e.payment_id, p.payment_id) AS id, 'it differs from the fold of its events' AS problem
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
