// The state of all jobs, for testers: the queues count waiting work, the rows count completed work.
import type { JobsStatus } from '@sluice/contracts'
import type { Database } from './database.ts'
import { unavailable } from './errors.ts'
import { isWorkerRunning } from './heartbeat.ts'
import type { Queueing } from './queue.ts'
import { withTimeout } from './with-timeout.ts'
import type { WorkTable } from './work-table.ts'

const RESPONSE_TIMEOUT_MS = 900

/** Rejects as unavailable when the queue or the database does not respond. */
export async function readJobsStatus(
  { db, queueing }: { db: Database; queueing: Queueing },
  tables: readonly WorkTable[],
): Promise<JobsStatus> {
  const counting = Promise.all([
    Promise.all(tables.map(({ job }) => queueing.counts(job))),
    Promise.all(tables.map((table) => countEnded(db, table))),
    isWorkerRunning(db),
  ])
  const [queues, ended, isRunning] = await withTimeout(
    RESPONSE_TIMEOUT_MS,
    counting.catch((cause) => Promise.reject(unavailable(cause))),
    unavailable,
  )
  return {
    pending: sum(queues.map(({ waiting, delayed }) => waiting + delayed)),
    processing: sum(queues.map(({ active }) => active)),
    completed: sum(ended.map(({ completed }) => completed)),
    failed: sum(ended.map(({ failed }) => failed)),
    worker_status: isRunning ? 'running' : 'stopped',
  }
}

async function countEnded(
  db: Database,
  { table, doneColumn, failedWhen = 'false' }: WorkTable,
): Promise<{ completed: number; failed: number }> {
  // The names are constants of this code, never input.
  const [row] = await db.prisma.$queryRawUnsafe<[{ completed: number; failed: number }]>(`
    SELECT count(*) FILTER (WHERE NOT (${failedWhen}))::float8 AS completed,
           count(*) FILTER (WHERE ${failedWhen})::float8 AS failed
    FROM ${table} WHERE ${doneColumn} IS NOT NULL`)
  return row
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
