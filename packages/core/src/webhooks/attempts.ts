// The rows of deliveries and attempts: claiming what is due, and recording what came of it. An attempt is claimed before
// it is sent, by its number and a lease that outlives it, and recorded only under that claim: outside a crash it is sent once.
import type { Database } from '../platform/database.ts'
import type { Outcome } from './outcome.ts'

/**
 * Longer than a claim, an attempt and its record take together (deliver.ts): after it the delivery is anybody's again.
 * Short enough for another worker to take over from a dead one within ten seconds.
 */
const LEASE_MS = 9000

/** How many attempts of each kind an endpoint may begin now. */
export interface Wish {
  merchantId: string
  isRetry: boolean
  count: number
}

/** An attempt that is ours to make. */
export interface ClaimedAttempt {
  deliveryId: string
  merchantId: string
  /** Whether it was claimed as one. */
  isRetry: boolean
  event: string
  body: string
  /** Running, never beginning anew. */
  number: number
  /** Failed ones before it, since the last manual retry. */
  failedBefore: number
  requestId: string
  /** Of the moment; null when it has been taken away meanwhile. */
  url: string | null
  secret: string | null
  /** Those from before, which sign too. */
  previousSecrets: string[]
  /** Since its time had come. */
  lateMs: number
}

/** Claims what is due, at most as many as wished for; never what somebody else has in hand. */
export async function claimAttempts(db: Database, wishes: readonly Wish[]): Promise<ClaimedAttempt[]> {
  const { rows } = await db.batch({
    name: 'claim-webhook-attempts',
    text: `
      WITH due AS (
        SELECT picked.id, wish.is_retry FROM unnest($1::uuid[], $2::boolean[], $3::int[]) AS wish(merchant_id, is_retry, count)
        CROSS JOIN LATERAL (
          SELECT w.id FROM webhook_logs w
          WHERE w.merchant_id = wish.merchant_id AND w.settled_at IS NULL AND (w.attempts > 0) = wish.is_retry
            AND w.next_retry_at <= now() AND (w.claimed_until IS NULL OR w.claimed_until < now())
          ORDER BY w.next_retry_at LIMIT wish.count FOR UPDATE SKIP LOCKED
        ) AS picked
      )
      UPDATE webhook_logs w
      SET attempt_number = attempt_number + 1, claimed_until = now() + interval '${LEASE_MS} milliseconds',
        -- A manual retry during an attempt that was never recorded takes effect now.
        attempts = CASE WHEN retry_wanted THEN 0 ELSE attempts END, retry_wanted = false
      FROM due, merchants m
      WHERE w.id = due.id AND m.id = w.merchant_id
      RETURNING w.id, w.merchant_id, w.event, w.payload::text, w.attempt_number, w.attempts, w.request_id, m.webhook_url,
        m.webhook_secret,
        ARRAY(SELECT secret FROM previous_webhook_secrets p WHERE p.merchant_id = m.id AND p.expires_at > now()
              ORDER BY expires_at DESC),
        (extract(epoch FROM clock_timestamp() - w.next_retry_at) * 1000)::float8, due.is_retry`,
    values: [
      wishes.map(({ merchantId }) => merchantId),
      wishes.map(({ isRetry }) => isRetry),
      wishes.map(({ count }) => count),
    ],
  })
  return rows.map((row) => ({
    deliveryId: row[0] as string,
    merchantId: row[1] as string,
    event: row[2] as string,
    body: row[3] as string,
    number: row[4] as number,
    failedBefore: row[5] as number,
    requestId: row[6] as string,
    url: row[7] as string | null,
    secret: row[8] as string | null,
    previousSecrets: row[9] as string[],
    lateMs: row[10] as number,
    isRetry: row[11] as boolean,
  }))
}

/** Gives claims back that are too old for their attempts to be made: the deliveries are due as before. */
export async function releaseAttempts(db: Database, attempts: readonly ClaimedAttempt[]): Promise<void> {
  await db.batch({
    name: 'release-webhook-attempts',
    text: `
      UPDATE webhook_logs w SET claimed_until = NULL, attempt_number = attempt_number - 1, retry_wanted = false,
        attempts = CASE WHEN retry_wanted THEN 0 ELSE attempts END
      FROM unnest($1::uuid[], $2::int[]) AS claim(id, number)
      WHERE w.id = claim.id AND w.attempt_number = claim.number AND w.claimed_until IS NOT NULL`,
    values: [attempts.map(({ deliveryId }) => deliveryId), attempts.map(({ number }) => number)],
  })
}

/** What came of a claimed attempt. */
export interface FinishedAttempt {
  attempt: ClaimedAttempt
  /** Undefined when none was made, since the URL has been taken away. */
  made: { at: Date; durationMs: number; outcome: Outcome } | undefined
  /** When the next one is due, from now; undefined when the delivery is over. */
  nextInMs: number | undefined
}

/**
 * Records attempts, each with the change of its delivery, in one commit. An attempt whose lease has run out and which
 * somebody else has claimed since is kept as an attempt, and changes nothing of the delivery.
 */
export async function recordAttempts(db: Database, finished: readonly FinishedAttempt[]): Promise<void> {
  await db.batch({
    name: 'record-webhook-attempts',
    text: `
      WITH finished AS (
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::int[], $5::int[], $6::text[], $7::text[], $8::text[], $9::float8[])
          AS f(id, number, at, duration_ms, response_code, error, response_body, status, next_in_ms)
      ), told AS (
        INSERT INTO webhook_attempts (delivery_id, number, at, duration_ms, response_code, error, response_body)
        SELECT id, number, at, duration_ms, response_code, error, response_body FROM finished WHERE at IS NOT NULL
        ON CONFLICT DO NOTHING
      )
      UPDATE webhook_logs w SET
        claimed_until = NULL, retry_wanted = false,
        attempts = CASE WHEN retry_wanted THEN 0 WHEN f.at IS NULL THEN attempts ELSE attempts + 1 END,
        last_attempt_at = coalesce(f.at, last_attempt_at),
        response_code = CASE WHEN f.at IS NULL THEN w.response_code ELSE f.response_code END,
        response_body = CASE WHEN f.at IS NULL THEN w.response_body ELSE f.response_body END,
        error = CASE WHEN f.at IS NULL THEN 'no_url' ELSE f.error END,
        status = CASE WHEN retry_wanted THEN 'pending' ELSE f.status END,
        next_retry_at = CASE WHEN retry_wanted THEN now() WHEN f.status = 'pending' THEN now() + f.next_in_ms * interval '1 millisecond' END,
        settled_at = CASE WHEN NOT retry_wanted AND f.status <> 'pending' THEN now() END
      FROM finished f
      WHERE w.id = f.id AND w.attempt_number = f.number AND w.claimed_until IS NOT NULL
      RETURNING nextval('webhook_changes')`,
    values: [
      finished.map(({ attempt }) => attempt.deliveryId),
      finished.map(({ attempt }) => attempt.number),
      finished.map(({ made }) => made?.at ?? null),
      finished.map(({ made }) => Math.round(made?.durationMs ?? 0)),
      finished.map(({ made }) => made?.outcome.responseCode ?? null),
      finished.map(({ made }) => made?.outcome.error ?? null),
      finished.map(({ made }) => made?.outcome.responseBody ?? null),
      finished.map(statusAfter),
      finished.map(({ nextInMs }) => nextInMs ?? null),
    ],
  })
}

const statusAfter = ({ made, nextInMs }: FinishedAttempt): string => {
  if (made?.outcome.status === 'success') return 'success'
  return nextInMs === undefined ? 'failed' : 'pending'
}

/** An endpoint that has something due. */
export interface DueEndpoint {
  merchantId: string
  isRetry: boolean
  /** Whether it was silent when its next retry was last tried, whoever tried. */
  wasSilent: boolean
}

/** Which endpoints have something due that nobody has in hand, and of which kind. */
export async function findDue(db: Database): Promise<DueEndpoint[]> {
  const { rows } = await db.batch({
    name: 'find-due-webhooks',
    // From merchant to merchant along the index of open deliveries: what is settled costs nothing, however much it is.
    text: `
      WITH RECURSIVE open AS (
        (SELECT merchant_id FROM webhook_logs WHERE settled_at IS NULL ORDER BY merchant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT w.merchant_id FROM webhook_logs w
                WHERE w.settled_at IS NULL AND w.merchant_id > open.merchant_id ORDER BY w.merchant_id LIMIT 1)
        FROM open WHERE open.merchant_id IS NOT NULL
      )
      SELECT open.merchant_id, kind.is_retry, coalesce(tried.was_silent, false)
      FROM open CROSS JOIN (VALUES (false), (true)) AS kind(is_retry)
      -- One row of the index each; an EXISTS would be planned as a join over the whole backlog.
      CROSS JOIN LATERAL (
        SELECT FROM webhook_logs w
        WHERE w.merchant_id = open.merchant_id AND w.settled_at IS NULL AND (w.attempts > 0) = kind.is_retry
          AND w.next_retry_at <= now() AND (w.claimed_until IS NULL OR w.claimed_until < now())
        ORDER BY w.next_retry_at LIMIT 1) AS due
      LEFT JOIN LATERAL (
        SELECT w.error IS NOT NULL AS was_silent FROM webhook_logs w
        WHERE w.merchant_id = open.merchant_id AND w.settled_at IS NULL AND (w.attempts > 0) = true
        ORDER BY w.next_retry_at LIMIT 1) AS tried ON true`,
    values: [],
  })
  return rows.map(([merchantId, isRetry, wasSilent]) => ({
    merchantId: merchantId as string,
    isRetry: isRetry as boolean,
    wasSilent: wasSilent as boolean,
  }))
}
