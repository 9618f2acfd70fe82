// For the tests: whether merchants are told of every change, by a delivery of its own each, no more and no less.
import type { TestDatabase } from '@sluice/testing'

const happened = `
  SELECT event, id AS subject FROM payments, unnest(
    ARRAY['payment.created', 'payment.pending', CASE WHEN status <> 'pending' THEN 'payment.' || status END]) AS event
  UNION ALL
  SELECT event, id FROM refunds, unnest(
    ARRAY['refund.created', CASE WHEN status <> 'pending' THEN 'refund.' || status END]) AS event
  UNION ALL
  SELECT 'transaction.processed', transaction_id FROM transactions JOIN merchant_accounts ON account = destination_account
  WHERE processed_at IS NOT NULL
  UNION ALL
  SELECT 'external_payment.' || status, payment_id || ' #' || ordinal FROM payment_events
  WHERE status_changed AND followed_up_at IS NOT NULL`

const told = `
  SELECT event, count(*)::int AS times, coalesce(
    payload #>> '{data,refund,id}', payload #>> '{data,payment,id}', payload #>> '{data,transaction,transaction_id}',
    (payload #>> '{data,payment,payment_id}') || ' #' || (payload #>> '{data,payment,events_count}')) AS subject
  FROM webhook_logs GROUP BY event, subject`

/**
 * What was not told exactly once, and what was told though it did not happen: of all payments and refunds as they are,
 * processed transactions, and events that changed an external payment. All their merchants must have had URLs.
 */
export async function findWronglyTold({ query }: Pick<TestDatabase, 'query'>): Promise<string[]> {
  const rows = await query<{ problem: string }>(`
    SELECT format('%s of %s was told %s times', event, subject, coalesce(told.times, 0)) AS problem
    FROM (SELECT event, subject, 1 AS times FROM (${happened}) AS each WHERE event IS NOT NULL) AS happened
    FULL JOIN (${told}) AS told USING (event, subject)
    WHERE happened.times IS DISTINCT FROM told.times LIMIT 20`)
  return rows.map(({ problem }) => problem)
}
