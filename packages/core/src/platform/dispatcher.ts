// The dispatcher enqueues rows left behind: rows that never got a job, and rows whose job was lost.
//
// It finds rows by their state and due time in PostgreSQL; any number of workers may run it. One round for a table:
//   1. count: count the rows without a job, and how fast they arrive. Many arrivals are a burst.
//   2. soon: enqueue rows that are due within 10 s. During a burst, work that gives way waits.
//   3. ahead: enqueue rows that are due later, a few a second while events arrive, many when it is calm.
//   4. lost: enqueue rows again that are past their due time although they had a job.

import type { Database } from './database.ts'
import {
  claimRows,
  type DispatchedRow,
  lostRows,
  readRowsWithoutJob,
  releaseRows,
  rowsWithoutJob,
  type Search,
} from './dispatcher-rows.ts'
import { isUnavailable } from './errors.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import type { Queueing } from './queue.ts'
import type { WorkTable } from './work-table.ts'

export interface DispatcherDeps {
  db: Database
  queueing: Queueing
  metrics: Metrics
  log: Logger
}

/** Rows due within this time are enqueued as fast as the queue takes them. */
const SOON_MS = 10_000
/** Rows that one statement claims and one bulk add enqueues. */
const BATCH_ROWS = 500
/** How many rows a second may be enqueued ahead of time while events arrive too fast for the API to enqueue them. */
const AHEAD_ROWS_PER_SECOND = 100
/** More rows a second than this without a job are a burst, to which work that may wait gives way. */
const BURST_ROWS_PER_SECOND = 1000
/** A row this far past its due time has lost its job … */
const LOST_AFTER_MS = 2000
/** … unless the queue has a backlog in which the job may well wait; it is not enqueued again sooner, either. */
const LOST_AFTER_BACKLOG_MS = 60_000
const BACKLOG_JOBS = 1000
/** A row that was enqueued is left alone for this long. */
const ENQUEUE_AGAIN_AFTER_MS = 5000
const LOST_ROWS_PER_ROUND = 5000
/** The limit ends a round under any load, so that lost rows get their turn. */
const SOON_ROWS_PER_ROUND = 20_000

type Cause = 'soon' | 'ahead' | 'lost'

export interface Dispatcher {
  /** One round over every table; returns how many jobs it enqueued. */
  round: () => Promise<number>
  start: (intervalMs: number) => void
  stop: () => Promise<void>
}

/** Each table has its own rounds: a backlog or a fault of one never delays another. */
export function createDispatcher(deps: DispatcherDeps, tables: readonly WorkTable[]): Dispatcher {
  const dispatchers = tables.map((table) => dispatchTable(deps, table))
  return {
    async round() {
      const counts = await Promise.all(dispatchers.map((dispatcher) => dispatcher.round()))
      return counts.reduce((sum, count) => sum + count, 0)
    },
    start(intervalMs) {
      for (const dispatcher of dispatchers) dispatcher.start(intervalMs)
    },
    async stop() {
      await Promise.all(dispatchers.map((dispatcher) => dispatcher.stop()))
    },
  }
}

/** What one table's rounds remember. */
interface TableState {
  table: WorkTable
  /** The latest due time among rows without a job at the last round, as text. */
  newestKnown: string | null
  lastRoundAt: number
  stopped: boolean
}

function dispatchTable(deps: DispatcherDeps, table: WorkTable): Dispatcher {
  const state: TableState = { table, newestKnown: null, lastRoundAt: performance.now(), stopped: false }
  let timer: NodeJS.Timeout | undefined
  let running: Promise<unknown> = Promise.resolve()

  async function tick(intervalMs: number): Promise<void> {
    const startedAt = performance.now()
    if (deps.queueing.isReady()) {
      await dispatchRound(deps, state).catch((err) => {
        // A database that is slow or away needs no stack trace.
        const reason = isUnavailable(err) ? { reason: (err as Error).message } : { err }
        deps.log.warn({ ...reason, kind: table.kind }, 'a dispatch round failed; the next round repeats it')
      })
    }
    if (state.stopped) return
    const spent = performance.now() - startedAt
    timer = setTimeout(schedule, Math.max(50, intervalMs - spent), intervalMs)
  }

  function schedule(intervalMs: number): void {
    running = tick(intervalMs)
  }

  return {
    round: () => dispatchRound(deps, state),
    start: schedule,
    async stop() {
      state.stopped = true
      clearTimeout(timer)
      await running
    },
  }
}

async function dispatchRound(deps: DispatcherDeps, state: TableState): Promise<number> {
  const { table } = state
  const sinceMs = Math.min(performance.now() - state.lastRoundAt, 2000)
  state.lastRoundAt = performance.now()
  const countMax = 2 * BURST_ROWS_PER_SECOND
  const { newestDue, arrived } = await readRowsWithoutJob(deps.db, table, state.newestKnown, countMax)
  state.newestKnown = newestDue
  let total = 0
  if (newestDue !== null) {
    const isBurst = (arrived * 1000) / sinceMs >= BURST_ROWS_PER_SECOND
    const dueWithinMs = isBurst && table.givesWayForMs > 0 ? -table.givesWayForMs : SOON_MS
    const aheadRowsMax = arrived > 0 ? Math.ceil((AHEAD_ROWS_PER_SECOND * sinceMs) / 1000) : 10 * BATCH_ROWS
    total += await enqueueRows(
      deps,
      state,
      'soon',
      rowsWithoutJob(newestDue, dueWithinMs),
      SOON_ROWS_PER_ROUND,
    )
    total += await enqueueRows(deps, state, 'ahead', rowsWithoutJob(newestDue), aheadRowsMax)
  }
  total += await enqueueRows(deps, state, 'lost', await searchOfLost(deps, table), LOST_ROWS_PER_ROUND)
  return total
}

async function searchOfLost({ queueing }: DispatcherDeps, { job }: WorkTable): Promise<Search> {
  const { waiting } = await queueing.counts(job)
  return waiting > BACKLOG_JOBS
    ? lostRows(LOST_AFTER_BACKLOG_MS, LOST_AFTER_BACKLOG_MS)
    : lostRows(LOST_AFTER_MS, ENQUEUE_AGAIN_AFTER_MS)
}

/** Claims and enqueues batches until no such rows are left, `rowsMax` are reached, or the queue is away. */
async function enqueueRows(
  deps: DispatcherDeps,
  state: TableState,
  cause: Cause,
  search: Search,
  rowsMax: number,
): Promise<number> {
  const { table } = state
  let count = 0
  while (count < rowsMax && !state.stopped && deps.queueing.isReady()) {
    const rows = await claimRows(deps.db, table, search, Math.min(BATCH_ROWS, rowsMax - count))
    if (rows.length === 0) break
    await enqueueOrRelease(deps, table, rows)
    count += rows.length
    deps.metrics.dispatched.inc({ kind: table.kind, cause }, rows.length)
    if (rows.length < BATCH_ROWS) break
  }
  if (count > 0) deps.log.info({ kind: table.kind, cause, rows: count }, 'dispatched')
  return count
}

async function enqueueOrRelease(
  { db, queueing }: DispatcherDeps,
  table: WorkTable,
  rows: readonly DispatchedRow[],
): Promise<void> {
  try {
    await queueing.enqueue(table.job, rows)
  } catch (error) {
    await releaseRows(db, table, rows).catch(() => {}) // rows that stay claimed are found as lost
    throw error
  }
}
