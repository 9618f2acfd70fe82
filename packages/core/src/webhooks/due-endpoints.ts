// Polling for endpoints that have deliveries due, at the cost of one index row for each open endpoint.
import type { Database } from '../platform/database.ts'

/** An endpoint that has something due. */
export interface DueEndpoint {
  merchantId: string
  isRetry: boolean
  /** Whether the last attempt of its next retry, by any worker, got no response. */
  wasUnresponsive: boolean
}

// `open` is a loose index scan: it jumps from merchant to merchant along the index of open deliveries, so settled
// deliveries cost nothing. `due` and `tried` read one index row each; an EXISTS would be planned as a join over the
// whole backlog.
const FIND_DUE_ENDPOINTS = `
  WITH RECURSIVE open AS (
    (SELECT merchant_id FROM webhook_logs WHERE settled_at IS NULL ORDER BY merchant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT w.merchant_id FROM webhook_logs w
            WHERE w.settled_at IS NULL AND w.merchant_id > open.merchant_id ORDER BY w.merchant_id LIMIT 1)
    FROM open WHERE open.merchant_id IS NOT NULL
  )
  SELECT open.merchant_id, kind.is_retry, coalesce(tried.was_unresponsive, false)
  FROM open CROSS JOIN (VALUES (false), (true)) AS kind(is_retry)
  CROSS JOIN LATERAL (
    SELECT FROM webhook_logs w
    WHERE w.merchant_id = open.merchant_id AND w.settled_at IS NULL AND (w.attempts > 0) = kind.is_retry
      AND w.next_retry_at <= now() AND (w.claimed_until IS NULL OR w.claimed_until < now())
    ORDER BY w.next_retry_at LIMIT 1) AS due
  LEFT JOIN LATERAL (
    SELECT w.error IS NOT NULL AS was_unresponsive FROM webhook_logs w
    WHERE w.merchant_id = open.merchant_id AND w.settled_at IS NULL AND (w.attempts > 0) = true
    ORDER BY w.next_retry_at LIMIT 1) AS tried ON true`

/** The endpoints that have something due which no worker has leased, and of which kind it is. */
export async function findDueEndpoints(db: Database): Promise<DueEndpoint[]> {
  const { rows } = await db.batch({ name: 'find-due-endpoints', text: FIND_DUE_ENDPOINTS, values: [] })
  return (rows as [string, boolean, boolean][]).map(([merchantId, isRetry, wasUnresponsive]) => ({
    merchantId,
    isRetry,
    wasUnresponsive,
  }))
}
