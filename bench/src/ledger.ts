// What the database says about a run's transactions: whether all acknowledged ones are there, and when they were processed.
import type { Sql } from './database.ts'
import type { LoadResult } from './load/plan.ts'
import { transactionIdSql } from './transactions.ts'

export type LedgerCheck = { rows: number; missing: number; twice: number; foreign: number }

/**
 * Compares the run's ledger with the table, id by id: acknowledged ones that are missing, ids that exist twice, and
 * rows nobody sent. Requests without an answer may or may not be there; both are right.
 */
export async function checkLedger(
  sql: Sql,
  run: string,
  { sent, unacknowledged }: LoadResult,
): Promise<LedgerCheck> {
  const [row] = await sql(`
    WITH ledger AS MATERIALIZED (
      SELECT n, ${transactionIdSql('n', run)} COLLATE "C" AS id FROM generate_series(0, ${sent - 1}) AS n
    ), stored AS MATERIALIZED (
      SELECT transaction_id AS id, count(*) AS copies FROM transactions
      WHERE transaction_id LIKE '%\\_${run}' GROUP BY 1
    ), unacknowledged AS (
      SELECT unnest('{${unacknowledged.join(',')}}'::bigint[]) AS n
    )
    SELECT count(stored.id) AS rows,
           count(*) FILTER (WHERE stored.id IS NULL AND unacknowledged.n IS NULL) AS missing,
           count(*) FILTER (WHERE stored.copies > 1) AS twice,
           count(*) FILTER (WHERE ledger.id IS NULL) AS foreign
    FROM ledger FULL JOIN stored ON stored.id = ledger.id
    LEFT JOIN unacknowledged ON unacknowledged.n = ledger.n`)
  return {
    rows: Number(row?.rows),
    missing: Number(row?.missing),
    twice: Number(row?.twice),
    foreign: Number(row?.foreign),
  }
}

export function ledgerVerdict({ rows, missing, twice, foreign }: LedgerCheck): string {
  const wrong = [
    missing > 0 && `${missing} ACKNOWLEDGED BUT MISSING`,
    twice > 0 && `${twice} TWICE`,
    foreign > 0 && `${foreign} NEVER SENT`,
  ].filter(Boolean)
  return wrong.length === 0 ? `ok (${rows.toLocaleString('en-US')} rows)` : wrong.join(', ')
}

/** A table whose rows are work, and its columns that say when it is due and when it was done. */
export type Work = {
  table: string
  due: string
  done: string
  /** SQL, when other rows are nobody's concern. */
  only?: string
}
export const transactionWork: Work = { table: 'transactions', due: 'due_at', done: 'processed_at' }

/** Waits until nothing is open; throws when the count of open rows stands still for `stalledMs` beyond their due time. */
export async function untilDone(
  sql: Sql,
  { table, due, done, only = 'true' }: Work,
  died: Promise<never>[] = [],
  stalledMs = 60_000,
): Promise<void> {
  let best = Number.POSITIVE_INFINITY
  let progressAt = Date.now()
  for (;;) {
    const [row] = await Promise.race([
      sql(`SELECT count(*) AS open, count(*) FILTER (WHERE ${due} <= now()) AS overdue
           FROM ${table} WHERE ${done} IS NULL AND ${only}`),
      ...died,
    ])
    const open = Number(row?.open)
    if (open === 0) return
    if (open < best || Number(row?.overdue) === 0) {
      best = open
      progressAt = Date.now()
    }
    if (Date.now() - progressAt > stalledMs) throw new Error(`${open} rows of ${table} stay open`)
    await new Promise((resolve) => setTimeout(resolve, open > 20_000 ? 2000 : 500))
  }
}

export type Lateness = { count: number; p50: number; p99: number; max: number; lastProcessed: number }

/**
 * Milliseconds between due time and processed_at over a run's transactions; `lastProcessed` is that of the one that was
 * processed last of all. The due time is worked out here from created_at, not taken from the system's own column.
 */
export async function processingLateness(sql: Sql, run: string, delayMs: number): Promise<Lateness> {
  const [row] = await sql(`
    WITH lateness AS (
      SELECT processed_at, 1000 * extract(epoch FROM processed_at - created_at)::float8 - ${delayMs} AS ms FROM transactions
      WHERE transaction_id LIKE '%\\_${run}' AND processed_at IS NOT NULL
    )
    SELECT count(*) AS count, max(ms) AS max,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) AS p50,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY ms) AS p99,
           (SELECT ms FROM lateness ORDER BY processed_at DESC, ms DESC LIMIT 1) AS last
    FROM lateness`)
  return {
    count: Number(row?.count),
    p50: Number(row?.p50 ?? Number.NaN),
    p99: Number(row?.p99 ?? Number.NaN),
    max: Number(row?.max ?? Number.NaN),
    lastProcessed: Number(row?.last ?? Number.NaN),
  }
}
