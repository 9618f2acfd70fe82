// What must hold of work: it is done in time, and a webhook says what its attempts came to.
import { HEARTBEAT_FRESH_MS } from '../platform/heartbeat.ts'
import type { WorkTable } from '../platform/work-table.ts'
import { ATTEMPTS_MAX } from '../webhooks/index.ts'
import { allWork } from '../work.ts'
import type { Invariant } from './invariant.ts'

/** Seconds by which work may be late while a worker is alive. */
const OVERDUE_SECONDS_MAX = 60

const aMinute = `interval '${OVERDUE_SECONDS_MAX} seconds'`
const isAlive = `beat_at > now() - interval '${HEARTBEAT_FRESH_MS} milliseconds'`

const workIsDone = ({ kind, table, idColumn, dueColumn, doneColumn }: WorkTable): Invariant => ({
  name: `No ${kind.replace('_', ' ')} is more than ${OVERDUE_SECONDS_MAX} s beyond its time while a worker is alive`,
  sql: `
    SELECT work.${idColumn} AS id, format('it was due at %s', work.${dueColumn}) AS problem
    FROM ${table} AS work
    WHERE work.${doneColumn} IS NULL AND work.${dueColumn} < now() - ${aMinute}
      AND EXISTS (SELECT FROM worker_heartbeats WHERE ${isAlive})`,
})

/** In milliseconds, of an answer in `bank_answer`; no bank may be told to take longer (platform/config.ts). */
const BANK_DELAY_MS_MAX = 2 ** 31 - 1
const bankDelayMs = `
  CASE json_typeof(bank_answer->'settlesInMs') WHEN 'number' THEN least((bank_answer->>'settlesInMs')::numeric, ${BANK_DELAY_MS_MAX}) ELSE 0 END`

/**
 * A row is due when it was made, or as long after the bank's answer as that says; a payment that waits for its order, soon
 * after the one that holds it. The minute is for those looks, and for clocks. Payments of the method `gateway` wait for a
 * notification, for ever if need be.
 */
const isDueInTime = (kind: string, rows: string, answers: string): Invariant => ({
  name: `No open ${kind} is due later than its bank can have meant`,
  sql: `
    SELECT work.id, format('it is due at %s', work.due_at) AS problem
    FROM ${rows} AS work
    WHERE work.settled_at IS NULL AND work.due_at > now() + interval '1 minute'
      AND work.due_at > now() + interval '1 minute' + interval '1 millisecond'
        * (SELECT coalesce(max(${bankDelayMs}), 0)::float8 FROM ${answers})`,
})

/**
 * Kept by housekeeping for at least so long (platform/housekeeping.ts, RETENTION_DAYS): attempts of settled deliveries that
 * are older may be gone, and are not asked for here.
 */
const isKept = (time: string) => `${time} > now() - interval '1 day'`
const isAccepted = (code: string) => `coalesce(${code} BETWEEN 200 AND 299, false)`

/**
 * `own` is the record of the attempt that was claimed last. A claim whose worker died has none, and leaves the delivery
 * open; an attempt that was recorded after somebody else's claim changes nothing of the delivery, and is not the last.
 * Whoever gives up has either five attempts behind it, counted since the last manual retry unless that came in between,
 * or found no URL.
 */
const webhooksAreTheirAttempts: Invariant = {
  name: 'A webhook is what its attempts came to',
  sql: `
    SELECT w.id, format('it is %s after %s attempts of %s, the last at %s with %s; %s are recorded, the last with %s', w.status, w.attempts,
      w.attempt_number, coalesce(w.last_attempt_at::text, 'no time'), coalesce(w.response_code::text, w.error, 'nothing'),
      coalesce(recorded.count, 0), coalesce(own.response_code::text, own.error, 'nothing')) AS problem
    FROM webhook_logs w
    LEFT JOIN (
      SELECT delivery_id, count(*) AS count, max(number) AS newest FROM webhook_attempts GROUP BY delivery_id
    ) AS recorded ON recorded.delivery_id = w.id
    LEFT JOIN webhook_attempts own ON own.delivery_id = w.id AND own.number = w.attempt_number
    WHERE recorded.newest > w.attempt_number
      OR (w.attempts > coalesce(recorded.count, 0) AND (w.settled_at IS NULL OR ${isKept('w.created_at')}))
      OR (w.last_attempt_at IS NULL AND (w.attempts > 0 OR w.status = 'success'))
      OR (${isKept('w.last_attempt_at')} AND (own.at, own.response_code) IS DISTINCT FROM (w.last_attempt_at, w.response_code) AND NOT EXISTS (
        SELECT FROM webhook_attempts last WHERE last.delivery_id = w.id AND last.at = w.last_attempt_at
          AND last.response_code IS NOT DISTINCT FROM w.response_code))
      OR CASE w.status
        WHEN 'pending' THEN w.attempts = ${ATTEMPTS_MAX}
        WHEN 'success' THEN NOT ${isAccepted('w.response_code')} OR CASE
          WHEN own.number IS NULL THEN ${isKept('w.last_attempt_at')}
          ELSE NOT ${isAccepted('own.response_code')} END
        ELSE CASE
          WHEN own.number IS NOT NULL THEN w.attempts = 0 OR w.attempt_number < ${ATTEMPTS_MAX} OR ${isAccepted('own.response_code')}
          WHEN w.error = 'no_url' THEN w.attempt_number = 0
          ELSE w.attempts = 0 OR ${isKept('w.last_attempt_at')} END
      END`,
}

/** A worker that has so many attempts in a minute may have had no slot left: each endpoint that hangs keeps one for five seconds. */
const BUSY_ATTEMPTS = 96

/**
 * A first attempt may wait for long where its endpoint answers late or not at all, behind others to the same one; then
 * some of these are under way, wait for a retry, or ended just now. It may also wait while all slots are taken by other
 * endpoints that hang; then very many attempts were made meanwhile. And a worker that has just come takes a moment to see
 * to what it finds. A first attempt that waits without any of that is forgotten.
 */
const noWebhookIsForgotten: Invariant = {
  name: `No webhook waits for its first attempt for more than ${OVERDUE_SECONDS_MAX} s while a worker is free to make it`,
  sql: `
    WITH attempted AS MATERIALIZED (
      SELECT merchant_id, coalesce(claimed_until > now(), false) OR coalesce(last_attempt_at > now() - ${aMinute}, false) AS is_recent
      FROM webhook_logs WHERE attempt_number > 0 AND (settled_at IS NULL OR settled_at > now() - ${aMinute})
    )
    SELECT w.id, format('it was due at %s', w.next_retry_at) AS problem
    FROM webhook_logs w
    WHERE w.settled_at IS NULL AND w.attempt_number = 0 AND w.next_retry_at < now() - ${aMinute}
      AND EXISTS (SELECT FROM worker_heartbeats WHERE ${isAlive} AND started_at < now() - ${aMinute})
      AND w.merchant_id NOT IN (SELECT merchant_id FROM attempted)
      AND (SELECT count(*) FROM attempted WHERE is_recent) < ${BUSY_ATTEMPTS}`,
}

export const workInvariants: readonly Invariant[] = [
  ...allWork.map(workIsDone),
  isDueInTime(
    'payment',
    "(SELECT * FROM payments WHERE method <> 'gateway')",
    'payments answered WHERE answered.order_id = work.order_id',
  ),
  isDueInTime('refund', 'refunds', 'refunds answered WHERE answered.id = work.id'),
  webhooksAreTheirAttempts,
  noWebhookIsForgotten,
]
