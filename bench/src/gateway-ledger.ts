// What the database says about a run of the gateway's payments: whether the books are right, and how long each took to end.
import { SEEDED_MERCHANT_ID } from '@sluice/testing'
import type { Sql } from './database.ts'
import { amountSql, countKeyed, orderIdSql } from './gateway-payments.ts'
import type { Work } from './ledger.ts'
import type { LoadResult } from './load/plan.ts'

export const paymentWork: Work = { table: 'payments', due: 'due_at', done: 'settled_at' }

/** Straight into the table: orders are not what is measured. */
export async function makeOrders(sql: Sql, run: string, count: number): Promise<void> {
  await sql(`
    INSERT INTO orders (id, merchant_id, amount, currency)
    SELECT ${orderIdSql(run, 'n')}, '${SEEDED_MERCHANT_ID}', ${amountSql('n')}, 'INR'
    FROM generate_series(0, ${count - 1}) AS n`)
}

/** Counts of a run's payments; all but the first are of what is wrong. */
export type Books = {
  payments: number
  missing: number
  twice: number
  unsettled: number
  notSettledOnce: number
  ordersWrong: number
  amountsWrong: number
  keysMissing: number
}

/** Requests without an answer may or may not be there; both are right. */
export async function readBooks(
  sql: Sql,
  run: string,
  { sent, unacknowledged }: Pick<LoadResult, 'sent' | 'unacknowledged'>,
): Promise<Books> {
  const [row] = await sql(`
    WITH unanswered AS (
      SELECT unnest('{${unacknowledged.join(',')}}'::bigint[]) AS n
    ), sent AS MATERIALIZED (
      SELECT ${orderIdSql(run, 'n')} COLLATE "C" AS order_id, n NOT IN (SELECT n FROM unanswered) AS acknowledged
      FROM generate_series(0::bigint, ${sent - 1}) AS n
    ), payment AS MATERIALIZED (
      SELECT p.*, (SELECT count(*) FROM payment_log l WHERE l.payment_id = p.id AND l.change IN ('success', 'failed')) AS endings,
             (SELECT sum(l.amount) FROM payment_log l WHERE l.payment_id = p.id AND l.change = 'success') AS logged
      FROM payments p WHERE p.order_id LIKE 'order\\_%${run}'
    ), bill AS MATERIALIZED (
      SELECT o.id, o.amount, o.status = 'paid' AS is_paid, count(p.id) AS payments,
             coalesce(bool_or(p.status = 'success'), false) AS is_covered,
             coalesce(sum(p.amount) FILTER (WHERE p.status = 'success'), 0) AS received, coalesce(sum(p.logged), 0) AS logged
      FROM orders o LEFT JOIN payment p ON p.order_id = o.id WHERE o.id LIKE 'order\\_%${run}' GROUP BY o.id
    )
    SELECT (SELECT count(*) FROM payment) AS payments,
           (SELECT count(*) FROM sent WHERE acknowledged AND NOT EXISTS (SELECT FROM payment p WHERE p.order_id = sent.order_id)) AS missing,
           (SELECT count(*) FROM bill WHERE payments > 1) AS twice,
           (SELECT count(*) FROM payment WHERE settled_at IS NULL) AS unsettled,
           (SELECT count(*) FROM payment WHERE settled_at IS NOT NULL AND endings <> 1) AS not_settled_once,
           (SELECT count(*) FROM bill WHERE is_paid <> is_covered) AS orders_wrong,
           (SELECT count(*) FROM bill WHERE received <> logged OR received <> CASE WHEN is_paid THEN amount ELSE 0 END) AS amounts_wrong,
           (SELECT count(*) FROM idempotency_keys WHERE key LIKE 'bench-%-${run}' AND status = 201) AS keys`)
  const count = (name: string) => Number(row?.[name])
  const keysExpected = countKeyed(Array(sent).keys()) - countKeyed(unacknowledged)
  return {
    payments: count('payments'),
    missing: count('missing'),
    twice: count('twice'),
    unsettled: count('unsettled'),
    notSettledOnce: count('not_settled_once'),
    ordersWrong: count('orders_wrong'),
    amountsWrong: count('amounts_wrong'),
    keysMissing: Math.max(0, keysExpected - count('keys')),
  }
}

export function booksVerdict(books: Books): string {
  const wrong = [
    books.missing > 0 && `${books.missing} ACKNOWLEDGED BUT MISSING`,
    books.twice > 0 && `${books.twice} ORDERS WITH TWO PAYMENTS`,
    books.unsettled > 0 && `${books.unsettled} NOT SETTLED`,
    books.notSettledOnce > 0 && `${books.notSettledOnce} NOT SETTLED ONCE`,
    books.ordersWrong > 0 && `${books.ordersWrong} ORDERS PAID WITHOUT A SUCCESS, OR THE REVERSE`,
    books.amountsWrong > 0 && `${books.amountsWrong} AMOUNTS WRONG`,
    books.keysMissing > 0 && `${books.keysMissing} KEYS MISSING`,
  ].filter(Boolean)
  if (wrong.length > 0) return wrong.join(', ')
  return `ok (${books.payments.toLocaleString('en-US')} payments)`
}

export type Settling = {
  /** Milliseconds from a payment's creation to its end. */
  p50: number
  p99: number
  max: number
  /** Final payments by second, from the first one's creation to the last one's end. */
  finalPerSecond: number
  /** From the last one's creation to the last one's end. */
  lagMs: number
}

export async function readSettling(sql: Sql, run: string): Promise<Settling> {
  const [row] = await sql(`
    WITH payment AS (
      SELECT created_at, settled_at, 1000 * extract(epoch FROM settled_at - created_at)::float8 AS ms
      FROM payments WHERE order_id LIKE 'order\\_%${run}' AND settled_at IS NOT NULL
    )
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_disc(0.99) WITHIN GROUP (ORDER BY ms) AS p99,
           max(ms) AS max,
           (count(*) / extract(epoch FROM max(settled_at) - min(created_at)))::float8 AS per_second,
           1000 * extract(epoch FROM max(settled_at) - max(created_at))::float8 AS lag
    FROM payment`)
  return {
    p50: Number(row?.p50 ?? Number.NaN),
    p99: Number(row?.p99 ?? Number.NaN),
    max: Number(row?.max ?? Number.NaN),
    finalPerSecond: Number(row?.per_second ?? Number.NaN),
    lagMs: Number(row?.lag ?? Number.NaN),
  }
}
