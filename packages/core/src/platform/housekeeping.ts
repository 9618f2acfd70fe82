// Housekeeping: what has served its time is removed, in bounded batches, by any worker.
import type { Database } from './database.ts'
import type { Logger } from './logger.ts'

const INTERVAL_MS = 60_000
const DAY_MS = 24 * 60 * 60 * 1000
const BATCH_ROWS = 1000
const BATCHES_PER_ROUND_MAX = 20

/** One bounded clean-up; answers how many rows it changed, at most BATCH_ROWS. */
export type CleanupTask = { name: string; run: (db: Database, rowsMax: number) => Promise<number> }

/** Heartbeats of workers that died without taking theirs away. */
const deadHeartbeats: CleanupTask = {
  name: 'dead heartbeats',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    DELETE FROM worker_heartbeats WHERE worker_id IN (
      SELECT worker_id FROM worker_heartbeats WHERE beat_at < now() - interval '1 hour' LIMIT ${rowsMax})`,
}

/** Logins that let nobody in any more. */
const expiredSessions: CleanupTask = {
  name: 'expired sessions',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    DELETE FROM sessions WHERE token_hash IN (
      SELECT token_hash FROM sessions WHERE expires_at <= now() LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED)`,
}

/** Stored answers that are replayed no more; one that is being renewed is locked, and left. */
const expiredIdempotencyKeys: CleanupTask = {
  name: 'expired idempotency keys',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    DELETE FROM idempotency_keys WHERE (merchant_id, scope, key) IN (
      SELECT merchant_id, scope, key FROM idempotency_keys
      WHERE expires_at <= now() LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED)`,
}

/** Webhook secrets from before a rotation, whose day is over. */
const oldWebhookSecrets: CleanupTask = {
  name: 'old webhook secrets',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    DELETE FROM previous_webhook_secrets WHERE (merchant_id, secret) IN (
      SELECT merchant_id, secret FROM previous_webhook_secrets
      WHERE expires_at <= now() LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED)`,
}

/** Attempts of webhooks that are over; the webhook itself, with its last answer, stays. */
const oldAttempts = (retentionDays: number): CleanupTask => ({
  name: 'old webhook attempts',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    DELETE FROM webhook_attempts WHERE (delivery_id, number) IN (
      SELECT a.delivery_id, a.number FROM webhook_attempts a JOIN webhook_logs w ON w.id = a.delivery_id
      WHERE a.at < now() - ${retentionDays}::float8 * interval '1 day' AND w.settled_at IS NOT NULL
      LIMIT ${rowsMax} FOR UPDATE OF a SKIP LOCKED)`,
})

/** Tables of deliveries; the names are ours, never input. */
const deliveryTables = [
  { table: 'transactions', id: 'transaction_id', cameAt: 'created_at', doneAt: 'processed_at' },
  { table: 'payment_events', id: 'event_id', cameAt: 'received_at', doneAt: 'followed_up_at' },
]

/** Raw payloads of deliveries that are done with; the rows stay, so that a redelivery is still known. */
function oldPayloads(
  retentionDays: number,
  { table, id, cameAt, doneAt }: (typeof deliveryTables)[number],
): CleanupTask {
  const sql = `
    UPDATE ${table} SET payload = NULL WHERE ${id} IN (
      SELECT ${id} FROM ${table}
      WHERE ${cameAt} >= $1 AND ${cameAt} < $2 AND ${doneAt} IS NOT NULL AND payload IS NOT NULL
      LIMIT $3 FOR UPDATE SKIP LOCKED)`
  // What lies before this has been cleaned: without it each round would walk all of history again.
  let cleanedUpTo = new Date(0)
  return {
    name: `old payloads of ${table}`,
    async run(db, rowsMax) {
      const cutoff = new Date(Date.now() - retentionDays * DAY_MS)
      const changed = await db.prisma.$executeRawUnsafe(sql, cleanedUpTo, cutoff, rowsMax)
      // A day back, for those that were not done or were locked.
      if (changed < rowsMax) cleanedUpTo = new Date(cutoff.getTime() - DAY_MS)
      return changed
    },
  }
}

/** Raw bodies of contradicting redeliveries; that they came, and how often, stays. */
const oldConflictPayloads = (retentionDays: number): CleanupTask => ({
  name: 'old conflict payloads',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    UPDATE conflicts SET payload = NULL WHERE (kind, id, body_hash) IN (
      SELECT kind, id, body_hash FROM conflicts
      WHERE last_seen_at < now() - ${retentionDays}::float8 * interval '1 day' AND payload IS NOT NULL
      LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED)`,
})

export const standardCleanupTasks = (retentionDays: number | undefined): CleanupTask[] => [
  deadHeartbeats,
  oldWebhookSecrets,
  expiredSessions,
  expiredIdempotencyKeys,
  ...(retentionDays === undefined
    ? []
    : [
        ...deliveryTables.map((table) => oldPayloads(retentionDays, table)),
        oldConflictPayloads(retentionDays),
        oldAttempts(retentionDays),
      ]),
]

export function startHousekeeping(deps: { db: Database; log: Logger; retentionDays: number | undefined }) {
  const tasks = standardCleanupTasks(deps.retentionDays)
  let isStopped = false
  let timer = setTimeout(round, INTERVAL_MS)
  async function round(): Promise<void> {
    await runCleanupTasks(deps, tasks)
    if (!isStopped) timer = setTimeout(round, INTERVAL_MS)
  }
  return {
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

/** One after the other; one that fails keeps none of the others from their turn. */
export async function runCleanupTasks(
  { db, log }: { db: Database; log: Logger },
  tasks: readonly CleanupTask[],
): Promise<void> {
  for (const task of tasks) {
    let rows = 0
    try {
      for (let batch = 0; batch < BATCHES_PER_ROUND_MAX; batch++) {
        const changed = await task.run(db, BATCH_ROWS)
        rows += changed
        if (changed < BATCH_ROWS) break
      }
    } catch (err) {
      log.warn({ err, task: task.name }, 'housekeeping failed; it will run again')
    }
    if (rows > 0) log.info({ task: task.name, rows }, 'housekeeping')
  }
}
