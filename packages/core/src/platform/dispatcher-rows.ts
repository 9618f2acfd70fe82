// The dispatcher's statements: search, claim and release rows of a work table.
import type { Database } from './database.ts'
import type { WorkTable } from './work-table.ts'

/** A claimed row, as the job that it becomes. */
export interface DispatchedRow {
  id: string
  delayMs: number
}

/** Which open rows to claim. */
export interface Search {
  name: string
  /** SQL over the due column and `enqueued_at`. */
  where: (due: string) => string
  /** The values of `$2` and on. */
  values: readonly unknown[]
}

const inMs = (ms: number) => `now() + interval '${ms} milliseconds'`

/** Rows without a job that this round knew of: the next round recognises a burst that begins meanwhile. */
export const rowsWithoutJob = (newestDue: string, dueWithinMs?: number): Search => ({
  name: dueWithinMs === undefined ? 'ahead' : `within-${dueWithinMs}`,
  where: (due) =>
    `enqueued_at IS NULL AND ${due} <= $2${dueWithinMs === undefined ? '' : ` AND ${due} <= ${inMs(dueWithinMs)}`}`,
  values: [newestDue],
})

/** Rows past their due time by `afterMs` that were enqueued more than `enqueuedBeforeMs` ago. */
export const lostRows = (afterMs: number, enqueuedBeforeMs: number): Search => ({
  name: `lost-${afterMs}`,
  where: (due) => `${due} < ${inMs(-afterMs)} AND enqueued_at < ${inMs(-enqueuedBeforeMs)}`,
  values: [],
})

/**
 * Claims rows, so that no other dispatcher takes them too. The order is the index's: rows without a job by due time,
 * lost rows by the time of the last enqueue.
 */
export async function claimRows(
  db: Database,
  table: WorkTable,
  search: Search,
  rowsMax: number,
): Promise<DispatchedRow[]> {
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

/** Releases claimed rows that the queue did not take. */
export async function releaseRows(
  db: Database,
  table: WorkTable,
  claimed: readonly DispatchedRow[],
): Promise<void> {
  await db.batch({
    name: `dispatch-${table.kind}-release`,
    text: `
      WITH found AS (
        SELECT ${table.idColumn} AS id FROM ${table.table}
        WHERE ${table.doneColumn} IS NULL AND ${table.idColumn} = ANY($1::text[]) ORDER BY ${table.idColumn} FOR UPDATE
      )
      UPDATE ${table.table} AS work SET enqueued_at = NULL FROM found WHERE work.${table.idColumn} = found.id`,
    values: [claimed.map((row) => row.id)],
  })
}

/**
 * The latest due time among rows without a job, as text (null when there are none). `arrived` counts those due after
 * `since`, an earlier result, up to `countMax`.
 */
export async function readRowsWithoutJob(
  db: Database,
  { kind, table, dueColumn, doneColumn }: WorkTable,
  since: string | null,
  countMax: number,
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
                LIMIT ${countMax}) AS arrived)`,
    values: [since],
  })
  const [newestDue, arrived] = rows[0] as [string | null, number]
  return { newestDue, arrived }
}
