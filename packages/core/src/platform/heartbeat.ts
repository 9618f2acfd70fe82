// Each worker's sign of life, a row in PostgreSQL: the authority on whether anybody processes.
import os from 'node:os'
import type { Database } from './database.ts'
import { processId } from './ids.ts'
import type { Logger } from './logger.ts'

const BEAT_INTERVAL_MS = 3000
/** A worker that has not been heard of for this long counts as stopped: within 15 s of its death, with a beat missed. */
export const HEARTBEAT_FRESH_MS = 10_000

export interface Heartbeat {
  /** Removes the row, so that health tells at once. */
  stop: () => Promise<void>
}

export async function startHeartbeat({ db, log }: { db: Database; log: Logger }): Promise<Heartbeat> {
  const workerId = processId()
  const beat = async () => {
    await db.prisma.$executeRaw`
      INSERT INTO worker_heartbeats (worker_id, hostname, pid) VALUES (${workerId}, ${os.hostname()}, ${process.pid})
      ON CONFLICT (worker_id) DO UPDATE SET beat_at = now()`
  }
  const tryBeat = () => beat().catch((err) => log.warn({ err }, 'no heartbeat: the database did not take it'))
  await tryBeat()
  let beating: Promise<unknown> = Promise.resolve()
  const timer = setInterval(() => {
    beating = tryBeat()
  }, BEAT_INTERVAL_MS)
  return {
    async stop() {
      clearInterval(timer)
      await beating // it would put the row back
      await db.prisma.workerHeartbeat.deleteMany({ where: { workerId } }).catch(() => {})
    },
  }
}

/** Whether any worker has been heard of lately, by the database's clock. */
export async function isWorkerRunning(db: Database): Promise<boolean> {
  const [row] = await db.prisma.$queryRaw<[{ running: boolean }]>`
    SELECT EXISTS (
      SELECT 1 FROM worker_heartbeats
      WHERE beat_at > now() - ${HEARTBEAT_FRESH_MS}::float8 * interval '1 millisecond'
    ) AS running`
  return row.running
}
