// Tests of the gateway's ledger with rows that a working gateway never stores.
import { createDatabase, SEEDED_MERCHANT_ID, type TestDatabase } from '@sluice/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { Sql } from '../database.ts'
import { orderIdSql, paymentHeaders } from '../gateway-payments.ts'
import { newRun } from '../ids.ts'
import { gatewayLedger, makeOrders } from './gateway-payments.ts'
import { checkLedger, readWaits } from './ledger.ts'

const SENT = 20
let database: TestDatabase
let sql: Sql

beforeAll(async () => {
  database = await createDatabase(inject('postgresUrl'))
  sql = async (text) => (await database.query(text)) as Awaited<ReturnType<Sql>>
})
afterAll(() => database?.drop())

/** A run whose payments all succeeded after two seconds, then the spoiling statement; `{order}` is the first order. */
async function verdict(spoil = 'SELECT 1', unacknowledged: number[] = []): Promise<string> {
  const run = newRun()
  await makeOrders(sql, run, SENT)
  const own = `order_id LIKE 'order\\_%${run}'`
  // In one commit: the database refuses an order that disagrees with its payment.
  await sql(`
    INSERT INTO payments (id, order_id, merchant_id, amount, currency, method, vpa, status, request_id, settled_at)
    SELECT replace(id, 'order_', 'pay_'), id, merchant_id, amount, currency, 'upi', 'a@b', 'success', 'r', now() + interval '2 seconds'
    FROM orders WHERE id LIKE 'order\\_%${run}';
    UPDATE orders o SET status = 'paid', claimed_by = p.id FROM payments p WHERE p.order_id = o.id AND ${own}`)
  await sql(`
    INSERT INTO payment_log (payment_id, change, amount, cause, request_id)
    SELECT id, 'success', amount, 'bank', 'r' FROM payments WHERE ${own}`)
  const keys = Array.from({ length: SENT }, (_, n) => paymentHeaders(run, n)['idempotency-key'] ?? [])
  await sql(`
    INSERT INTO idempotency_keys (merchant_id, key, fingerprint, status, response, expires_at)
    SELECT '${SEEDED_MERCHANT_ID}', key, '', 201, '{}', now() FROM unnest('{${keys.flat().join(',')}}'::text[]) AS key`)
  await sql(spoil.replaceAll('{order}', orderIdSql(run, '0')).replaceAll('{run}', run))
  // Of the payments that are left: created_at has milliseconds only.
  expect(Math.round((await readWaits(sql, gatewayLedger.work, run)).p50)).toBeCloseTo(2000, -1)
  return checkLedger(sql, gatewayLedger, { run, sent: SENT, unacknowledged })
}

const WITHOUT_TRIGGERS = `SET session_replication_role = replica;`
const AGAIN = 'SET session_replication_role = origin'
const PAYMENT = '(SELECT id FROM payments WHERE order_id = {order} LIMIT 1)'

test('right rows are ok, with and without the unacknowledged payments', async () => {
  expect(await verdict()).toBe('ok (20 payments)')
  expect(await verdict('SELECT 1', [0, 1])).toBe('ok (20 payments)')
})

test.each<[string, string, string]>([
  [
    'an order that its payment did not pay',
    `UPDATE orders SET status = 'created' WHERE id = {order}`,
    '1 ORDERS PAID WITHOUT A SUCCESS, OR THE REVERSE',
  ],
  [
    'a payment without an entry of its end',
    `DELETE FROM payment_log WHERE payment_id = ${PAYMENT}`,
    '1 NOT SETTLED ONCE',
  ],
  [
    'another amount in the log',
    `UPDATE payment_log SET amount = amount + 1 WHERE payment_id = ${PAYMENT}`,
    '1 AMOUNTS WRONG',
  ],
  [
    'a payment that has not ended',
    `UPDATE payments SET status = 'pending', settled_at = NULL WHERE order_id = {order}`,
    '1 NOT SETTLED',
  ],
  ['a lost payment', 'DELETE FROM payments WHERE order_id = {order}', '1 ACKNOWLEDGED BUT MISSING'],
  [
    'a second payment of an order',
    `INSERT INTO payments (id, order_id, merchant_id, amount, currency, method, vpa, status, request_id)
     SELECT 'pay_' || substr(md5(random()::text), 1, 16), id, merchant_id, amount, currency, 'upi', 'a@b', 'pending', 'r'
     FROM orders WHERE id = {order}`,
    '1 ORDERS WITH TWO PAYMENTS',
  ],
  [
    'a key without its response',
    `DELETE FROM idempotency_keys WHERE key = (SELECT min(key) FROM idempotency_keys WHERE key LIKE 'bench-%-{run}')`,
    '1 KEYS MISSING',
  ],
])('finds %s', async (_, spoil, finding) => {
  expect(await verdict(`${WITHOUT_TRIGGERS} ${spoil}; ${AGAIN}`)).toContain(finding)
})
