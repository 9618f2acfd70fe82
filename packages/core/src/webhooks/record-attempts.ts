// Recording attempts: each attempt and the change of its delivery, many of them in one commit.
import type { Database } from '../platform/database.ts'
import { isUnavailable } from '../platform/errors.ts'
import { createGroupCommit, type GroupCommit } from '../platform/group-commit.ts'
import type { LeasedAttempt } from './attempt-leases.ts'
import type { AttemptOutcome } from './outcome.ts'

/** What came of a leased attempt. */
export interface EndedAttempt {
  attempt: LeasedAttempt
  /** Undefined when nothing was sent because the URL had been removed. */
  made: { at: Date; durationMs: number; outcome: AttemptOutcome } | undefined
  /** When the next attempt is due, from now; undefined when the delivery is settled. */
  nextInMs: number | undefined
}

/** The part of a lease that is reserved for recording. */
const RECORD_MS_MAX = 3000
/** Between tries while the database is unavailable. */
const PAUSE_MS = 250

/** Groups attempts that end at the same time into shared commits. */
export function createAttemptRecorder(db: Database): GroupCommit<EndedAttempt, undefined> {
  return createGroupCommit<EndedAttempt, undefined>({
    commit: async (ended) => {
      await retryWhileUnavailable(() => recordAttempts(db, ended))
      return ended.map(() => undefined)
    },
    sizeBytes: ({ made }) => 200 + (made?.outcome.responseBody?.length ?? 0),
    rowsPerCommitMax: 500,
    bytesPerCommitMax: 4 * 1024 * 1024,
    waitingRowsMax: 10_000,
    waitingBytesMax: 64 * 1024 * 1024,
    concurrentCommitsMax: 2,
    deadlineMs: RECORD_MS_MAX,
  })
}

/** A database restart must not cause a second POST, so recording is retried while the lease lasts. */
async function retryWhileUnavailable(record: () => Promise<void>): Promise<void> {
  const giveUpAt = performance.now() + RECORD_MS_MAX
  for (;;) {
    try {
      return await record()
    } catch (error) {
      if (!isUnavailable(error) || performance.now() > giveUpAt) throw error
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }
}

const RECORD_ATTEMPTS = `
  WITH ended AS (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::int[], $5::int[], $6::text[], $7::text[], $8::text[], $9::float8[])
      AS e(id, number, at, duration_ms, response_code, error, response_body, status, next_in_ms)
  ), inserted AS (
    INSERT INTO webhook_attempts (delivery_id, number, at, duration_ms, response_code, error, response_body)
    SELECT id, number, at, duration_ms, response_code, error, response_body FROM ended WHERE at IS NOT NULL
    ON CONFLICT DO NOTHING
  )
  UPDATE webhook_logs w SET
    claimed_until = NULL, retry_wanted = false,
    attempts = CASE WHEN retry_wanted THEN 0 WHEN e.at IS NULL THEN attempts ELSE attempts + 1 END,
    last_attempt_at = coalesce(e.at, last_attempt_at),
    response_code = CASE WHEN e.at IS NULL THEN w.response_code ELSE e.response_code END,
    response_body = CASE WHEN e.at IS NULL THEN w.response_body ELSE e.response_body END,
    error = CASE WHEN e.at IS NULL THEN 'no_url' ELSE e.error END,
    status = CASE WHEN retry_wanted THEN 'pending' ELSE e.status END,
    next_retry_at = CASE WHEN retry_wanted THEN now() WHEN e.status = 'pending' THEN now() + e.next_in_ms * interval '1 millisecond' END,
    settled_at = CASE WHEN NOT retry_wanted AND e.status <> 'pending' THEN now() END
  FROM ended e
  WHERE w.id = e.id AND w.attempt_number = e.number AND w.claimed_until IS NOT NULL
  RETURNING nextval('webhook_changes')`

/**
 * Records attempts, each with the change of its delivery, in one commit. When an attempt's lease has ended and another
 * worker has leased the delivery since, the attempt is stored and the delivery stays unchanged.
 */
export async function recordAttempts(db: Database, ended: readonly EndedAttempt[]): Promise<void> {
  await db.batch({
    name: 'record-webhook-attempts',
    text: RECORD_ATTEMPTS,
    values: [
      ended.map(({ attempt }) => attempt.deliveryId),
      ended.map(({ attempt }) => attempt.number),
      ended.map(({ made }) => made?.at ?? null),
      ended.map(({ made }) => Math.round(made?.durationMs ?? 0)),
      ended.map(({ made }) => made?.outcome.responseCode ?? null),
      ended.map(({ made }) => made?.outcome.error ?? null),
      ended.map(({ made }) => made?.outcome.responseBody ?? null),
      ended.map(statusAfter),
      ended.map(({ nextInMs }) => nextInMs ?? null),
    ],
  })
}

const statusAfter = ({ made, nextInMs }: EndedAttempt): string => {
  if (made?.outcome.status === 'success') return 'success'
  return nextInMs === undefined ? 'failed' : 'pending'
}
