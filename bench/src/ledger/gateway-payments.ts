// The ledger of the gateway's payments: each has one end, its order agrees with it, and every amount is logged.
import { SEEDED_MERCHANT_ID } from '@sluice/testing'
import type { Sql } from '../database.ts'
import { amountSql, countKeyed, orderIdSql } from '../gateway-payments.ts'
import type { LedgerKind } from './ledger.ts'

const ofRun = (run: string) => `order_id LIKE 'order\\_%${run}'`

export const gatewayLedger: LedgerKind = {
  work: { table: 'payments', begun: 'created_at', due: 'due_at', done: 'settled_at', ofRun },
  async compare(sql, { run, sent, unacknowledged }) {
    const [row] = await sql(`
      WITH unacknowledged AS (
        SELECT unnest('{${unacknowledged.join(',')}}'::bigint[]) AS n
      ), sent AS MATERIALIZED (
        SELECT ${orderIdSql(run, 'n')} COLLATE "C" AS order_id, n NOT IN (SELECT n FROM unacknowledged) AS acknowledged
        FROM generate_series(0::bigint, ${sent - 1}) AS n
      ), payment AS MATERIALIZED (
        SELECT p.*, (SELECT count(*) FROM payment_log l WHERE l.payment_id = p.id AND l.change IN ('success', 'failed')) AS endings,
               (SELECT sum(l.amount) FROM payment_log l WHERE l.payment_id = p.id AND l.change = 'success') AS logged
        FROM payments p WHERE ${ofRun(run)}
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
    const fault = (column: string, what: string) => ({ count: Number(row?.[column]), what })
    const keysExpected = countKeyed(Array(sent).keys()) - countKeyed(unacknowledged)
    return {
      held: { payments: Number(row?.payments) },
      faults: [
        fault('missing', 'ACKNOWLEDGED BUT MISSING'),
        fault('twice', 'ORDERS WITH TWO PAYMENTS'),
        fault('unsettled', 'NOT SETTLED'),
        fault('not_settled_once', 'NOT SETTLED ONCE'),
        fault('orders_wrong', 'ORDERS PAID WITHOUT A SUCCESS, OR THE REVERSE'),
        fault('amounts_wrong', 'AMOUNTS WRONG'),
        { count: Math.max(0, keysExpected - Number(row?.keys)), what: 'KEYS MISSING' },
      ],
    }
  },
}

/** Inserts a run's orders directly: no scenario measures orders. */
export async function makeOrders(sql: Sql, run: string, count: number): Promise<void> {
  await sql(`
    INSERT INTO orders (id, merchant_id, amount, currency)
    SELECT ${orderIdSql(run, 'n')}, '${SEEDED_MERCHANT_ID}', ${amountSql('n')}, 'INR'
    FROM generate_series(0, ${count - 1}) AS n`)
}
