// The dispatcher rings again for rows left behind: rows that never got a job, and rows whose job got lost. Rows are found by their state and due time in PostgreSQL; any number of workers may run it at once.
import type { Database } from './database.ts'
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
/** How many rows a second may be enqueued ahead of time while deliveries come in too fast for the API to enqueue them. */
const AHEAD_ROWS_PER_SECOND = 100
/** More rows a second than this without a job are a burst, to which work that may wait gives way. */
const BURST_ROWS_PER_SECOND = 1000
/** A row this far beyond its due time has lost its job … */
const LOST_AFTER_MS = 2000
/** … unless the queue has a backlog in which the job may well be waiting; nor is it rung for again sooner. */
const LOST_AFTER_BACKLOG_MS = 60_000
const BACKLOG_JOBS = 1000
/** A row whose job was rung for is left alone for this long. */
const RING_AGAIN_AFTER_MS = 5000
const LOST_ROWS_PER_ROUND = 5000
/** So that a round ends, and lost rows are looked for, under any load. */
const SOON_ROWS_PER_ROUND = 20_000

type Cause = 'soon' | 'ahead' | 'lost'

export interface Dispatcher {
  /** One look at every table; answers how many jobs it enqueued. */
  round: () => Promise<number>
  start: (intervalMs: number) => void
  stop: () => Promise<void>
}

/** Each table has its own turns: a backlog or a fault of one must not keep another waiting. */
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

function dispatchTable(deps: DispatcherDeps, table: WorkTable): Dispatcher {
  let newestKnown: string | null = null
  let timer: NodeJS.Timeout | undefined
  let running: Promise<unknown> = Promise.resolve()
  let stopped = false
  let lastRoundAt = performance.now()

  async function round(): Promise<number> {
    const sinceMs = Math.min(performance.now() - lastRoundAt, 2000)
    lastRoundAt = performance.now()
    const { newestDue, arrived } = await rowsWithoutJob(deps.db, table, newestKnown)
    const stillComing = arrived > 0
    const isBurst = (arrived * 1000) / sinceMs >= BURST_ROWS_PER_SECOND
    newestKnown = newestDue
    let total = 0
    if (newestDue !== null) {
      const dueWithinMs = isBurst && table.givesWayForMs > 0 ? -table.givesWayForMs : SOON_MS
      total += await enqueueWaiting('soon', notEnqueued(newestDue, dueWithinMs), SOON_ROWS_PER_ROUND)
      const budget = stillComing ? Math.ceil((AHEAD_ROWS_PER_SECOND * sinceMs) / 1000) : 10 * BATCH_ROWS
      total += await enqueueWaiting('ahead', notEnqueued(newestDue), budget)
    }
    total += await enqueueWaiting('lost', await lostRows(), LOST_ROWS_PER_ROUND)
    return total
  }

  /** Claims and enqueues batches until there are no more such rows, or `rowsMax` are reached, or the queue is away. */
  async function enqueueWaiting(cause: Cause, rows: Search, rowsMax: number): Promise<number> {
    let count = 0
    while (count < rowsMax && !stopped && deps.queueing.isReady()) {
      const entries = await claim(deps.db, table, rows, Math.min(BATCH_ROWS, rowsMax - count))
      if (entries.length === 0) break
      try {
        await deps.queueing.enqueue(table.job, entries)
      } catch (error) {
        await release(deps.db, table, entries).catch(() => {}) // else they are found as lost
        throw error
      }
      count += entries.length
      deps.metrics.dispatched.inc({ kind: table.kind, cause }, entries.length)
      if (entries.length < BATCH_ROWS) break
    }
    if (count > 0) deps.log.info({ kind: table.kind, cause, rows: count }, 'dispatched')
    return count
  }

  async function lostRows(): Promise<Search> {
    const { waiting } = await deps.queueing.counts(table.job)
    return waiting > BACKLOG_JOBS
      ? lost(LOST_AFTER_BACKLOG_MS, LOST_AFTER_BACKLOG_MS)
      : lost(LOST_AFTER_MS, RING_AGAIN_AFTER_MS)
  }

  async function tick(intervalMs: number): Promise<void> {
    const startedAt = performance.now()
    if (deps.queueing.isReady()) {
      await round().catch((err) => {
        // A database that is slow or away is nothing to debug: a line will do.
        const reason = isUnavailable(err) ? { reason: (err as Error).message } : { err }
        deps.log.warn({ ...reason, kind: table.kind }, 'a dispatch round failed; the next one looks again')
      })
    }
    if (stopped) return
    const spent = performance.now() - startedAt
    timer = setTimeout(schedule, Math.max(50, intervalMs - spent), intervalMs)
  }

  function schedule(intervalMs: number): void {
    running = tick(intervalMs)
  }

  return {
    round,
    start: schedule,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}

interface Search {
  name: string
  /** SQL over the due column and `enqueued_at`. */
  where: (due: string) => string
  /** Of `$2` and on. */
  values: readonly unknown[]
}

const inMs = (ms: number) => `now() + interval '${ms} milliseconds'`

/** Only those that this round knew of: a burst that begins under it is for the next one to see as such. */
const notEnqueued = (newestDue: string, dueWithinMs?: number): Search => ({
  name: dueWithinMs === undefined ? 'ahead' : `within-${dueWithinMs}`,
  where: (due) =>
    `enqueued_at IS NULL AND ${due} <= $2${dueWithinMs === undefined ? '' : ` AND ${due} <= ${inMs(dueWithinMs)}`}`,
  values: [newestDue],
})

const lost = (afterMs: number, rungBeforeMs: number): Search => ({
  name: `lost-${afterMs}`,
  where: (due) => `${due} < ${inMs(-afterMs)} AND enqueued_at < ${inMs(-rungBeforeMs)}`,
  values: [],
})

/**
 * Takes rows, so that no other dispatcher takes them too, and answers them as jobs. In the index's order: that of due
 * time among rows without a job, that of the last ring among lost ones.
 */
async function claim(db: Database, table: WorkTable, search: Search, rowsMax: number) {
  const { rows } = await db.batch({
    name: `dispatch-${table.kind}-${search.name}`,
    text: `
      WITH found AS (
        SELECT ${table.idColumn} AS id FROM ${table.table}
        WHERE ${table.doneColumn} IS NULL AND ${search.where(table.dueColumn)}
        ORDER BY enqueued_at, ${table.dueColumn} LIMIT $1 FOR UPDATE SKIP LOCKED
      )
      UPDATE ${table.table} AS work SET enqueued_at = now() FROM found WHERE work.${table.idColumn} = found.id
      RETURNING work.${table.idColumn}, greatest(0, ceil(extract(epoch FROM work.${table.dueColumn} - now()) * 1000))::float8`,
    values: [rowsMax, ...search.values],
  })
  return rows.map(([id, delayMs]) => ({ id: id as string, delayMs: delayMs as number }))
}

/** Gives claimed rows back: the queue did not take them. */
async function release(
  db: Database,
  table: WorkTable,
  entries: ReadonlyArray<{ id: string }>,
): Promise<void> {
  await db.batch({
    name: `dispatch-${table.kind}-release`,
    text: `
      WITH found AS (
        SELECT ${table.idColumn} AS id FROM ${table.table}
        WHERE ${table.doneColumn} IS NULL AND ${table.idColumn} = ANY($1::text[]) ORDER BY ${table.idColumn} FOR UPDATE
      )
      UPDATE ${table.table} AS work SET enqueued_at = NULL FROM found WHERE work.${table.idColumn} = found.id`,
    values: [entries.map((entry) => entry.id)],
  })
}

/** The rows without a job: the latest due time among them, as text, null when there are none; and how many came in since an earlier answer, as far as that matters. */
async function rowsWithoutJob(
  db: Database,
  { kind, table, dueColumn, doneColumn }: WorkTable,
  since: string | null,
): Promise<{ newestDue: string | null; arrived: number }> {
  const { rows } = await db.batch({
    name: `dispatch-${kind}-without-job`,
    text: `
      SELECT (SELECT work.${dueColumn}::text FROM ${table} AS work
              WHERE ${doneColumn} IS NULL AND enqueued_at IS NULL
              ORDER BY work.enqueued_at DESC, work.${dueColumn} DESC LIMIT 1),
             (SELECT count(*)::int FROM (
                SELECT FROM ${table} AS work
                WHERE ${doneColumn} IS NULL AND enqueued_at IS NULL
                  AND work.${dueColumn} > coalesce($1::timestamptz, '-infinity')
                LIMIT ${2 * BURST_ROWS_PER_SECOND}) AS arrived)`,
    values: [since],
  })
  const [newestDue, arrived] = rows[0] as [string | null, number]
  return { newestDue, arrived }
}
