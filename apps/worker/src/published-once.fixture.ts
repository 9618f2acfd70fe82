// For tests: whether every change is published by exactly one delivery, and nothing else is.
import type { TestDatabase } from '@sluice/testing'

const changes = `
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

const deliveries = `
  SELECT event, count(*)::int AS times, coalesce(
    payload #>> '{data,refund,id}', payload #>> '{data,payment,id}', payload #>> '{data,transaction,transaction_id}',
    (payload #>> '{data,payment,payment_id}') || ' #' || (payload #>> '{data,payment,events_count}')) AS subject
  FROM webhook_logs GROUP BY event, subject`

/**
 * Finds changes without exactly one delivery, and deliveries without a change. Changes are the statuses of payments and
 * refunds, processed transactions, and events that changed an external payment. All their merchants need URLs.
 */
export async function findWronglyPublished({ query }: Pick<TestDatabase, 'query'>): Promise<string[]> {
  const rows = await query<{ problem: string }>(`
    SELECT format('%s of %s has %s deliveries', event, subject, coalesce(deliveries.times, 0)) AS problem
    FROM (SELECT event, subject, 1 AS times FROM (${changes}) AS each WHERE event IS NOT NULL) AS changes
    FULL JOIN (${deliveries}) AS deliveries USING (event, subject)
    WHERE changes.times IS DISTINCT FROM deliveries.times LIMIT 20`)
  return rows.map(({ problem }) => problem)
}
