// One ledger for all scenarios: compares what a run acknowledged with what the database holds.
import type { Sql } from '../database.ts'
import type { LoadResult } from '../load/plan.ts'

/** What the load generator knows of a run. A request without a response may be in the database or not; both are right. */
export type Acknowledged = { run: string } & Pick<LoadResult, 'sent' | 'unacknowledged'>

type Fault = { count: number; what: string; example?: string | undefined }
/** What the database holds of a run, by noun, and its faults. A fault whose count is 0 did not occur. */
export type Comparison = { held: Record<string, number>; faults: Fault[] }

/** One kind of work: where its rows are, and how a run's acknowledgements compare with them. */
export type LedgerKind = {
  work: Work
  compare(sql: Sql, acknowledged: Acknowledged): Promise<Comparison>
}

/** A table whose rows are work. All but its name are SQL expressions. */
export type Work = {
  table: string
  /** When a row's wait begins. */
  begun: string
  due: string
  done: string
  /** The condition for a run's own rows. */
  ofRun(run: string): string
}

export async function checkLedger(sql: Sql, kind: LedgerKind, acknowledged: Acknowledged): Promise<string> {
  return verdict(await kind.compare(sql, acknowledged))
}

/** "ok" and what the database holds, or all faults. */
export function verdict({ held, faults }: Comparison): string {
  const found = faults
    .filter(({ count }) => count !== 0)
    .map(({ count, what, example }) => `${count} ${what}${example === undefined ? '' : ` (${example})`}`)
  if (found.length > 0) return found.join(', ')
  const nouns = Object.entries(held).map(([noun, count]) => `${count.toLocaleString('en-US')} ${noun}`)
  return `ok (${nouns.join(', ')})`
}

export const isRight = (text: string) => text.startsWith('ok')

/** Waits until all work is done. Throws when the count of open rows stands still for `stalledMs` beyond their due time. */
export async function untilDone(
  sql: Sql,
  { table, due, done }: Pick<Work, 'table' | 'due' | 'done'>,
  { died = [], only = 'true', stalledMs = 60_000 }: WaitOptions = {},
): Promise<void> {
  let least = Number.POSITIVE_INFINITY
  let progressAt = Date.now()
  for (;;) {
    const [row] = await Promise.race([
      sql(`SELECT count(*) AS open, count(*) FILTER (WHERE ${due} <= now()) AS overdue
           FROM ${table} WHERE ${done} IS NULL AND ${only}`),
      ...died,
    ])
    const open = Number(row?.open)
    if (open === 0) return
    if (open < least || Number(row?.overdue) === 0) {
      least = open
      progressAt = Date.now()
    }
    if (Date.now() - progressAt > stalledMs) throw new Error(`${open} rows of ${table} stay open`)
    await new Promise((resolve) => setTimeout(resolve, open > 20_000 ? 2000 : 500))
  }
}

type WaitOptions = {
  /** Rejects when a process ends that the work depends on. */
  died?: Promise<never>[]
  /** SQL: the rows to wait for. */
  only?: string
  stalledMs?: number
}

/** Milliseconds from a row's beginning, or from a later due time, to its end. */
export type Waits = {
  count: number
  p50: number
  p99: number
  max: number
  /** The wait of the row that was done last. */
  lastMs: number
  /** From the last beginning to the last end. */
  lagMs: number
  /** Rows done by second, from the first beginning to the last end. */
  perSecond: number
}

/** Waits of a run's rows beyond `dueAfterMs`. It reads the beginning, not the system's own due time. */
export async function readWaits(
  sql: Sql,
  { table, begun, done, ofRun }: Work,
  run: string,
  dueAfterMs = 0,
): Promise<Waits> {
  const [row] = await sql(`
    WITH work AS (
      SELECT ${begun} AS begun, ${done} AS done,
             1000 * extract(epoch FROM ${done} - ${begun})::float8 - ${dueAfterMs} AS ms
      FROM ${table} WHERE ${ofRun(run)} AND ${done} IS NOT NULL
    )
    SELECT count(*) AS count, max(ms) AS max,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) AS p50,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY ms) AS p99,
           (SELECT ms FROM work ORDER BY done DESC, ms DESC LIMIT 1) AS last,
           1000 * extract(epoch FROM max(done) - max(begun))::float8 AS lag,
           (count(*) / nullif(extract(epoch FROM max(done) - min(begun)), 0))::float8 AS per_second
    FROM work`)
  const number = (column: string) => Number(row?.[column] ?? Number.NaN)
  return {
    count: number('count'),
    p50: number('p50'),
    p99: number('p99'),
    max: number('max'),
    lastMs: number('last'),
    lagMs: number('lag'),
    perSecond: number('per_second'),
  }
}
