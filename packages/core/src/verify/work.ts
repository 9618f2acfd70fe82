// Invariants of work: it is done in time, and the state of a webhook follows from its attempts.
import { HEARTBEAT_FRESH_MS } from '../platform/heartbeat.ts'
import type { WorkTable } from '../platform/work-table.ts'
import { ATTEMPTS_MAX } from '../webhooks/index.ts'
import { allWork } from '../work.ts'
import type { Invariant } from './invariant.ts'

/** Seconds that work may be overdue while a worker is alive. */
const OVERDUE_SECONDS_MAX = 60

const aMinute = `interval '${OVERDUE_SECONDS_MAX} seconds'`
const isAlive = `beat_at > now() - interval '${HEARTBEAT_FRESH_MS} milliseconds'`

const workIsDone = ({ kind, table, idColumn, dueColumn, doneColumn }: WorkTable): Invariant => ({
  name: `No ${kind.replace('_', ' ')} is more than ${OVERDUE_SECONDS_MAX} s overdue while a worker is alive`,
  sql: `
    SELECT work.${idColumn} AS id, format('it was due at %s', work.${dueColumn}) AS problem
    FROM ${table} AS work
    WHERE work.${doneColumn} IS NULL AND work.${dueColumn} < now() - ${aMinute}
      AND EXISTS (SELECT FROM worker_heartbeats WHERE ${isAlive})`,
})

/** Milliseconds: the longest delay of a bank response, by the configuration (platform/config.ts). */
const BANK_DELAY_MS_MAX = 2 ** 31 - 1
const bankDelayMs = `
  CASE json_typeof(bank_answer->'settlesInMs') WHEN 'number' THEN least((bank_answer->>'settlesInMs')::numeric, ${BANK_DELAY_MS_MAX}) ELSE 0 END`

/**
 * A row is due at its creation, or at the end of the delay in its bank response. A payment that waits for its order is
 * due soon after the payment that has claimed it. The minute allows for these waits and for clock differences.
 * Payments of the method `gateway` wait for a notification without an end.
 */
const isDueInTime = (kind: string, rows: string, responses: string): Invariant => ({
  name: `No open ${kind} is due later than its bank response allows`,
  sql: `
    SELECT work.id, format('it is due at %s', work.due_at) AS problem
    FROM ${rows} AS work
    WHERE work.settled_at IS NULL AND work.due_at > now() + interval '1 minute'
      AND work.due_at > now() + interval '1 minute' + interval '1 millisecond'
        * (SELECT coalesce(max(${bankDelayMs}), 0)::float8 FROM ${responses})`,
})

/**
 * Cleanup keeps attempts for at least one day (webhooks/cleanup.ts, RETENTION_DAYS). Older attempts of settled
 * deliveries may be missing, so this invariant does not expect them.
 */
const isKept = (time: string) => `${time} > now() - interval '1 day'`
const isAccepted = (code: string) => `coalesce(${code} BETWEEN 200 AND 299, false)`

/**
 * `own` is the record of the last leased attempt. It is missing, and the delivery open, when the worker died.
 * An attempt that is recorded after the next lease does not change the delivery, and is not the last one.
 * A failed delivery has five attempts, counted since the last manual retry unless that came in between, or had no URL.
 */
const webhooksAreTheirAttempts: Invariant = {
  name: 'The state of a webhook follows from its attempts',
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

/** With this many attempts in a minute a worker may have no free slot: a hanging endpoint keeps one for five seconds. */
const BUSY_ATTEMPTS = 96

/**
 * A first attempt may wait for three reasons:
 *   - Its endpoint is slow or hangs. Then other attempts to it are in flight, wait for a retry, or ended just now.
 *   - Other endpoints that hang have all slots. Then very many attempts were made meanwhile.
 *   - The worker has just started.
 * A first attempt that waits without any of these reasons is forgotten.
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
    'payments responded WHERE responded.order_id = work.order_id',
  ),
  isDueInTime('refund', 'refunds', 'refunds responded WHERE responded.id = work.id'),
  webhooksAreTheirAttempts,
  noWebhookIsForgotten,
]
