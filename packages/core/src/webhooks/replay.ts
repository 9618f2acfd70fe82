// Sending deliveries again: one at once (manual retry), or those of a time range at a controlled rate (replay).
import type { ReplayRequest, ReplayResponse } from '@sluice/contracts'
import type { Database, Tx } from '../platform/database.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { badRequest, notFound } from '../platform/errors.ts'
import { parseTimestamp } from '../platform/timestamps.ts'
import { urlMissing } from './endpoint-settings.ts'
import { wakeUpId } from './jobs.ts'
import { isDeliveryId } from './read.ts'

// While a worker has leased the delivery, retry_wanted postpones the retry until that attempt is recorded.
const RETRY_DELIVERY = `
  UPDATE webhook_logs w SET
    retry_wanted = coalesce(claimed_until > now(), false),
    claimed_until = CASE WHEN claimed_until > now() THEN claimed_until END,
    status = 'pending', settled_at = NULL, next_retry_at = now(),
    attempts = CASE WHEN claimed_until > now() THEN attempts ELSE 0 END
  FROM merchants m WHERE w.id = $1 AND w.merchant_id = $2 AND m.id = w.merchant_id
  RETURNING m.webhook_url IS NOT NULL AS has_url, nextval('webhook_changes')`

/**
 * Resets the delivery's attempts to zero and makes the next one due now; during an attempt, right after it.
 * @throws NOT_FOUND_ERROR, BAD_REQUEST_ERROR without a URL
 */
export async function retryWebhook(
  { db, webhooks }: { db: Database; webhooks: Enqueuer },
  merchantId: string,
  id: string,
): Promise<void> {
  if (!isDeliveryId(id)) throw notFound('Webhook')
  await db.atomically(async (tx, afterCommit) => {
    const [row] = await tx.query<{ has_url: boolean }>({
      name: 'retry-webhook',
      text: RETRY_DELIVERY,
      values: [id, merchantId],
    })
    if (row === undefined) throw notFound('Webhook')
    if (!row.has_url) throw urlMissing('a webhook')
    afterCommit(() => webhooks.enqueue(wakeUpId(merchantId, id)))
  })
}

/** Replayed deliveries a second: a receiver that comes back must not be overloaded by its backlog. */
const REPLAYS_PER_SECOND = 20
/** In one call; more could not be written within a request's time limit. */
const REPLAYED_MAX = 5000
const COUNTED_MAX = 100_000

/** The deliveries that a replay asks for; $1 to $5 are `matchingValues`. */
const MATCHING = `
  FROM webhook_logs
  WHERE merchant_id = $1 AND created_at >= $2 AND created_at <= $3 AND settled_at IS NOT NULL
    AND ($4::text IS NULL OR event = $4) AND ($5::text IS NULL OR status = $5)`

const COUNT_MATCHING = `SELECT count(*)::int AS matched FROM (SELECT ${MATCHING} LIMIT ${COUNTED_MAX}) AS matching`

const FIND_MATCHING = `SELECT id, created_at ${MATCHING} ORDER BY created_at, id LIMIT ${REPLAYED_MAX + 1}`

// Starts behind what an earlier call has scheduled, so that successive calls together keep the rate.
const SCHEDULE_REPLAY = `
  WITH begin AS (
    SELECT greatest(now(), max(next_retry_at)) AS at FROM webhook_logs
    WHERE merchant_id = $1 AND settled_at IS NULL AND (attempts > 0) = false
  )
  UPDATE webhook_logs w SET status = 'pending', settled_at = NULL, attempts = 0,
    next_retry_at = begin.at + (nth - 1) * interval '1 second' / ${REPLAYS_PER_SECOND}
  FROM begin, unnest($2::uuid[]) WITH ORDINALITY AS matching(id, nth)
  WHERE w.id = matching.id AND w.settled_at IS NOT NULL RETURNING nextval('webhook_changes')`

/**
 * Schedules settled deliveries again, the oldest first, spread over time. Returns how many match, how many of these are
 * scheduled, over how many seconds, and from when to ask for the rest.
 * @throws BAD_REQUEST_ERROR, also without a URL
 */
export async function replayWebhooks(
  db: Database,
  merchantId: string,
  request: ReplayRequest,
): Promise<ReplayResponse> {
  const values = matchingValues(merchantId, request)
  return db.atomically(async (tx) => {
    const [counted] = await tx.query<{ matched: number }>({ text: COUNT_MATCHING, values })
    const { matched } = counted!
    if (request.dry_run) {
      return { matched, scheduled: 0, spread_seconds: secondsFor(matched), next_since: null }
    }
    await requireUrl(tx, merchantId)
    const found = await tx.query<{ id: string; created_at: Date }>({ text: FIND_MATCHING, values })
    const replayed = await tx.query({
      text: SCHEDULE_REPLAY,
      values: [merchantId, found.slice(0, REPLAYED_MAX).map(({ id }) => id)],
    })
    return {
      matched,
      scheduled: replayed.length,
      spread_seconds: secondsFor(replayed.length),
      next_since: found[REPLAYED_MAX]?.created_at.toISOString() ?? null,
    }
  })
}

function matchingValues(merchantId: string, { since, until, event, status }: ReplayRequest): unknown[] {
  const from = parseTimestamp('since', since)
  const to = until === undefined ? new Date() : parseTimestamp('until', until)
  if (to < from) {
    throw until === undefined
      ? badRequest({ field: 'since', description: 'since must not be in the future' })
      : badRequest({ field: 'until', description: 'until must not be before since' })
  }
  return [merchantId, from, to, event ?? null, status ?? null]
}

/** Locks the merchant's row, so that the URL stays set until the commit. */
async function requireUrl(tx: Tx, merchantId: string): Promise<void> {
  const [merchant] = await tx.query<{ webhook_url: string | null }>({
    text: 'SELECT webhook_url FROM merchants WHERE id = $1 FOR SHARE',
    values: [merchantId],
  })
  if (merchant?.webhook_url == null) throw urlMissing('webhooks')
}

const secondsFor = (count: number) => Math.ceil(Math.max(0, count - 1) / REPLAYS_PER_SECOND)
