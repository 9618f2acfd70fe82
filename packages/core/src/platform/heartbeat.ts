// The heartbeat of each worker: a row in PostgreSQL that decides whether a worker counts as running.
import os from 'node:os'
import type { Database } from './database.ts'
import type { CleanupTask } from './housekeeping.ts'
import { processId } from './ids.ts'
import type { Logger } from './logger.ts'

const BEAT_INTERVAL_MS = 3000
/** A worker counts as stopped after this time without a beat: within 15 s of its death, with one beat missed. */
export const HEARTBEAT_FRESH_MS = 10_000

interface Heartbeat {
  /** Removes the row, so that health shows the stop at once. */
  stop: () => Promise<void>
}

export async function startHeartbeat({ db, log }: { db: Database; log: Logger }): Promise<Heartbeat> {
  const workerId = processId()
  const beat = async () => {
    await db.prisma.$executeRaw`
      INSERT INTO worker_heartbeats (worker_id, hostname, pid) VALUES (${workerId}, ${os.hostname()}, ${process.pid})
      ON CONFLICT (worker_id) DO UPDATE SET beat_at = now()`
  }
  const tryBeat = () => beat().catch((err) => log.warn({ err }, 'the database did not store the heartbeat'))
  await tryBeat()
  let beating: Promise<unknown> = Promise.resolve()
  const timer = setInterval(() => {
    beating = tryBeat()
  }, BEAT_INTERVAL_MS)
  return {
    async stop() {
      clearInterval(timer)
      await beating // a late beat would insert the row again
      await db.prisma.workerHeartbeat.deleteMany({ where: { workerId } }).catch(() => {})
    },
  }
}

/** Whether any worker has beaten lately, by the database's clock. */
export async function isWorkerRunning(db: Database): Promise<boolean> {
  const [row] = await db.prisma.$queryRaw<[{ running: boolean }]>`
    SELECT EXISTS (
      SELECT 1 FROM worker_heartbeats
      WHERE beat_at > now() - ${HEARTBEAT_FRESH_MS}::float8 * interval '1 millisecond'
    ) AS running`
  return row.running
}

/** Removes the rows of workers that died without a stop. */
export const deadHeartbeats: CleanupTask = {
  name: 'dead heartbeats',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    DELETE FROM worker_heartbeats WHERE worker_id IN (
      SELECT worker_id FROM worker_heartbeats WHERE beat_at < now() - interval '1 hour' LIMIT ${rowsMax})`,
}
