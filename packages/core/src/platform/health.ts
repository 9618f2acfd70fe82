// Readiness: the state of database, Redis and worker.
import type { Health } from '@sluice/contracts'
import type { Database } from './database.ts'
import { isWorkerRunning } from './heartbeat.ts'
import type { Queueing } from './queue.ts'

const HEALTH_TIMEOUT_MS = 800

/** Takes less than a second. Only a database that is down is "unhealthy", since nothing else stops ingestion. */
export async function checkHealth({
  db,
  queueing,
}: {
  db: Database
  queueing: Pick<Queueing, 'redisState'>
}): Promise<Health> {
  const late = new Promise<undefined>((resolve) => {
    setTimeout(() => resolve(undefined), HEALTH_TIMEOUT_MS).unref()
  })
  const running = await Promise.race([isWorkerRunning(db).catch(() => undefined), late])
  const redis = queueing.redisState()
  const well = running === true && redis !== 'disconnected'
  return {
    status: running === undefined ? 'unhealthy' : well ? 'healthy' : 'degraded',
    database: running === undefined ? 'disconnected' : 'connected',
    redis,
    worker: running === undefined ? 'unknown' : running ? 'running' : 'stopped',
    timestamp: new Date().toISOString(),
  }
}
