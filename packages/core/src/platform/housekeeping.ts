// Housekeeping: any worker removes expired rows in bounded batches; features hand in their cleanup tasks.
import type { Database } from './database.ts'
import type { Logger } from './logger.ts'

const INTERVAL_MS = 60_000
const BATCH_ROWS = 1000
const BATCHES_PER_ROUND_MAX = 20

export interface CleanupTask {
  /** Label of log lines. */
  name: string
  /** Runs one bounded statement and returns how many rows it changed, at most `rowsMax`. */
  run: (db: Database, rowsMax: number) => Promise<number>
}

interface HousekeepingDeps {
  db: Database
  log: Logger
}

/** Runs all tasks once a minute until `stop`. */
export function startHousekeeping(deps: HousekeepingDeps, tasks: readonly CleanupTask[]) {
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

/** Runs the tasks one after the other; a failed task does not stop the next one. */
export async function runCleanupTasks(deps: HousekeepingDeps, tasks: readonly CleanupTask[]): Promise<void> {
  for (const task of tasks) await runCleanupTask(deps, task)
}

async function runCleanupTask({ db, log }: HousekeepingDeps, task: CleanupTask): Promise<void> {
  let rows = 0
  try {
    for (let batch = 0; batch < BATCHES_PER_ROUND_MAX; batch++) {
      const changed = await task.run(db, BATCH_ROWS)
      rows += changed
      if (changed < BATCH_ROWS) break
    }
  } catch (err) {
    log.warn({ err, task: task.name }, 'the cleanup task failed; it will run again')
  }
  if (rows > 0) log.info({ task: task.name, rows }, 'the cleanup task changed rows')
}
