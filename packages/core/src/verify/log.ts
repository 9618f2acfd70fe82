// Invariants of the payment log: its entries alone explain the state of each payment and refund.
import type { Invariant } from './invariant.ts'

const logMatchesPayments: Invariant = {
  name: 'The log of a payment adds up to its row',
  sql: `
    SELECT p.id, format('it is %s%s of %s with %s refunded; its log: %s', p.status, CASE WHEN p.captured THEN ' and captured' ELSE '' END,
                        p.amount, p.refunded_amount, coalesce(l.changes, 'nothing')) AS problem
    FROM payments p
    LEFT JOIN (
      SELECT payment_id, string_agg(change || coalesce(' ' || refund_id, '') || ' ' || amount, ', ' ORDER BY id) AS changes,
        min(amount) FILTER (WHERE refund_id IS NULL) AS least, max(amount) FILTER (WHERE refund_id IS NULL) AS most,
        count(*) FILTER (WHERE change = 'created') AS created, count(*) FILTER (WHERE change = 'bank_asked') AS asked, count(*) FILTER (WHERE change = 'success') AS success,
        count(*) FILTER (WHERE change = 'failed') AS failed, count(*) FILTER (WHERE change = 'captured') AS captured,
        coalesce(sum(amount) FILTER (WHERE change = 'refund_created'), 0)
          - coalesce(sum(amount) FILTER (WHERE change = 'refund_failed'), 0) AS refunded
      FROM payment_log GROUP BY payment_id
    ) AS l ON l.payment_id = p.id
    WHERE (l.created, l.asked, l.success, l.failed, l.captured, l.refunded, l.least, l.most) IS DISTINCT FROM
      (1::bigint, (p.bank_asked_at IS NOT NULL)::int::bigint, (p.status = 'success')::int::bigint, (p.status = 'failed')::int::bigint, p.captured::int::bigint, p.refunded_amount::numeric, p.amount, p.amount)`,
}

const logMatchesRefunds: Invariant = {
  name: 'The log of a refund adds up to its row',
  sql: `
    SELECT r.id, format('it is %s of %s; its log: %s', r.status, r.amount, coalesce(l.changes, 'nothing')) AS problem
    FROM refunds r
    LEFT JOIN (
      SELECT refund_id, string_agg(change || ' ' || amount, ', ' ORDER BY id) AS changes, min(amount) AS least, max(amount) AS most,
        min(payment_id) AS payment_id, count(*) FILTER (WHERE change = 'refund_created') AS created,
        count(*) FILTER (WHERE change = 'refund_processed') AS processed, count(*) FILTER (WHERE change = 'refund_failed') AS failed
      FROM payment_log WHERE refund_id IS NOT NULL GROUP BY refund_id
    ) AS l ON l.refund_id = r.id
    WHERE (l.created, l.processed, l.failed, l.least, l.most, l.payment_id) IS DISTINCT FROM
      (1::bigint, (r.status = 'processed')::int::bigint, (r.status = 'failed')::int::bigint, r.amount, r.amount, r.payment_id)`,
}

/** A lock of the payment or refund is held while an entry is written, so the ids are in the order of the changes. */
const logIsInOrder: Invariant = {
  name: 'The log has its entries in a possible order',
  sql: `
    SELECT payment_id AS id, format('too early: %s', string_agg(change, ', ' ORDER BY id)) AS problem
    FROM (
      SELECT payment_id, change, id, max(id) OVER (
        PARTITION BY payment_id ORDER BY CASE change WHEN 'created' THEN 0 WHEN 'bank_asked' THEN 1 WHEN 'success' THEN 2 WHEN 'failed' THEN 2 ELSE 3 END
        RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last_before
      FROM payment_log
    ) AS entries
    WHERE id < last_before GROUP BY payment_id
    UNION ALL
    SELECT ended.payment_id, format('%s of %s comes before it was created', ended.change, ended.refund_id)
    FROM payment_log ended JOIN payment_log created ON created.refund_id = ended.refund_id AND created.change = 'refund_created'
    WHERE ended.change IN ('refund_processed', 'refund_failed') AND ended.id < created.id
    UNION ALL
    SELECT captured.payment_id, format('it was captured while refund %s was pending or processed', refund.refund_id)
    FROM payment_log captured
    JOIN payment_log refund ON refund.payment_id = captured.payment_id AND refund.change = 'refund_created' AND refund.id < captured.id
    LEFT JOIN payment_log failed ON failed.refund_id = refund.refund_id AND failed.change = 'refund_failed' AND failed.id < captured.id
    WHERE captured.change = 'captured' AND failed.id IS NULL`,
}

export const logInvariants: readonly Invariant[] = [logMatchesPayments, logMatchesRefunds, logIsInOrder]
