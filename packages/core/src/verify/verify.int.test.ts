// The verifier finds what breaks each invariant, in databases whose own constraints were taken away to get there.
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { createDatabase, SEEDED_MERCHANT_ID, type TestDatabase } from '@sluice/testing'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { invariants } from './invariants.ts'
import { findViolations } from './verify.ts'

let database: TestDatabase
beforeEach(async () => {
  database = await createDatabase(inject('postgresUrl'))
  await database.query(bookkeeping)
})
afterEach(() => database.drop())

const order = 'order_0000000000000001'
const payment = 'pay_0000000000000001'
const other = 'pay_0000000000000002'
const processed = 'rfnd_0000000000000001'
const refused = 'rfnd_0000000000000002'

/** An order that was paid by its second attempt, captured no more, refunded in part, once in vain. */
const bookkeeping = `
  INSERT INTO orders (id, merchant_id, amount) VALUES ('${order}', '${SEEDED_MERCHANT_ID}', 1000);
  INSERT INTO payments (id, order_id, merchant_id, amount, method, vpa, status, settled_at, error_code, request_id) VALUES
    ('${other}', '${order}', '${SEEDED_MERCHANT_ID}', 1000, 'upi', 'a@b', 'failed', now(), 'DECLINED', 'r'),
    ('${payment}', '${order}', '${SEEDED_MERCHANT_ID}', 1000, 'upi', 'a@b', 'success', now(), NULL, 'r');
  UPDATE orders SET status = 'paid', claimed_by = '${payment}';
  INSERT INTO refunds (id, payment_id, merchant_id, amount, status, processed_at, settled_at, error_code, request_id) VALUES
    ('${processed}', '${payment}', '${SEEDED_MERCHANT_ID}', 400, 'processed', now(), now(), NULL, 'r'),
    ('${refused}', '${payment}', '${SEEDED_MERCHANT_ID}', 300, 'failed', NULL, now(), 'REFUND_FAILED', 'r');
  INSERT INTO payment_log (payment_id, change, refund_id, amount, cause, request_id) VALUES
    ('${other}', 'created', NULL, 1000, 'merchant', 'r'), ('${other}', 'failed', NULL, 1000, 'bank', 'r'),
    ('${payment}', 'created', NULL, 1000, 'merchant', 'r'), ('${payment}', 'success', NULL, 1000, 'bank', 'r'),
    ('${payment}', 'refund_created', '${processed}', 400, 'merchant', 'r'),
    ('${payment}', 'refund_processed', '${processed}', 400, 'bank', 'r'),
    ('${payment}', 'refund_created', '${refused}', 300, 'merchant', 'r'),
    ('${payment}', 'refund_failed', '${refused}', 300, 'bank', 'r');
  INSERT INTO worker_heartbeats (worker_id, hostname, pid) VALUES ('w', 'h', 1);`

/** Takes away what would refuse it: triggers, foreign keys, checks and unique indexes. */
const withoutGuards = (sql: string) => `
  SET session_replication_role = replica;
  ALTER TABLE payments DROP CONSTRAINT payments_refunded_check, DROP CONSTRAINT payments_captured_check,
    DROP CONSTRAINT payments_settled_check, DROP CONSTRAINT payments_error_check;
  DROP INDEX payments_one_success;
  ${sql}`

const inRefunds = 'The pending and processed refunds of a payment are what it says, and within its amount'
const inOrders = 'An order is paid by exactly one payment, or by none and not paid'
const inClaims = 'An order that is not paid is held by nobody, or by a pending payment that asks the bank'
const inPayments = 'A payment has its order, and the same merchant, amount and currency'
const inRefundsPayments = 'A refund has its payment, and the same merchant'
const inLog = 'The log of a payment tells how it became what it is'
const inRefundLog = 'The log of a refund tells how it became what it is'
const inEvents = 'An external payment is what the set of its events says'
const late = (what: string) => `No ${what} is more than 60 s beyond its time while a worker is alive`

const breaks: Array<[what: string, sql: string, broken: Array<[invariant: string, id: string]>]> = [
  [
    'a sum of refunds that is too low',
    'UPDATE payments SET refunded_amount = 300',
    [
      [inRefunds, payment],
      [inRefunds, other],
      [inLog, payment],
      [inLog, other],
    ],
  ],
  [
    'refunds above the payment',
    `UPDATE refunds SET amount = 1001 WHERE id = '${processed}'; UPDATE payments SET refunded_amount = 1001 WHERE id = '${payment}'`,
    [
      [inRefunds, payment],
      [inLog, payment],
      [inRefundLog, processed],
    ],
  ],
  [
    'a refund that was not released',
    `UPDATE payments SET refunded_amount = 700 WHERE id = '${payment}'`,
    [
      [inRefunds, payment],
      [inLog, payment],
    ],
  ],
  [
    'two successful payments',
    `UPDATE payments SET status = 'success' WHERE id = '${other}'`,
    [
      [inOrders, order],
      [inLog, other],
    ],
  ],
  [
    'an order that was paid by nobody',
    `DELETE FROM payment_log; DELETE FROM refunds; DELETE FROM payments`,
    [[inOrders, order]],
  ],
  [
    'an order that does not know it was paid',
    `UPDATE orders SET status = 'created'`,
    [
      [inOrders, order],
      [inClaims, order],
    ],
  ],
  ['an order that names another payment', `UPDATE orders SET claimed_by = '${other}'`, [[inOrders, order]]],
  [
    'payments without their order',
    'DELETE FROM orders',
    [
      [inPayments, payment],
      [inPayments, other],
    ],
  ],
  [
    'a payment of another amount',
    `UPDATE payments SET amount = 999 WHERE id = '${other}'`,
    [[inPayments, other]],
  ],
  [
    'refunds without their payment',
    `DELETE FROM payment_log WHERE payment_id = '${payment}'; DELETE FROM payments WHERE id = '${payment}'; UPDATE orders SET status = 'created'`,
    [
      [inRefundsPayments, processed],
      [inRefundsPayments, refused],
      [inRefundLog, processed],
      [inRefundLog, refused],
      [inClaims, order],
    ],
  ],
  ['a history that was lost', `DELETE FROM payment_log WHERE payment_id = '${other}'`, [[inLog, other]]],
  [
    'a capture that nobody knows of',
    `UPDATE payments SET captured = true WHERE id = '${payment}'`,
    [[inLog, payment]],
  ],
  [
    'a status that nobody knows of',
    `UPDATE payments SET status = 'pending' WHERE id = '${other}'`,
    [[inLog, other]],
  ],
  [
    'a refund that came back to life',
    `UPDATE refunds SET status = 'processed', error_code = NULL, processed_at = now() WHERE id = '${refused}'; UPDATE payments SET refunded_amount = 700 WHERE id = '${payment}'`,
    [
      [inLog, payment],
      [inRefundLog, refused],
    ],
  ],
  [
    'an order that a dead payment holds',
    `UPDATE orders SET status = 'created', claimed_by = '${other}'; UPDATE payments SET status = 'failed', error_code = 'X' WHERE id = '${payment}'; DELETE FROM payment_log; DELETE FROM refunds; DELETE FROM payments WHERE id = '${payment}'`,
    [
      [inClaims, order],
      [inLog, other],
    ],
  ],
  [
    'a payment that asks the bank without holding its order',
    `UPDATE payments SET status = 'pending', error_code = NULL, settled_at = NULL, bank_asked_at = now() WHERE id = '${other}'`,
    [
      [inClaims, other],
      [inLog, other],
    ],
  ],
  [
    'an external payment that differs from its events',
    `INSERT INTO external_payments SELECT 'ext', 'completed', 'e', 1, 100, 'USD', 'u', 'completed', 'e', 1, '{}', 0, 1, now(), now()`,
    [[inEvents, 'ext']],
  ],
  [
    'payments that nobody processes',
    `UPDATE payments SET status = 'pending', settled_at = NULL, error_code = NULL, due_at = now() - interval '61 seconds' WHERE id = '${other}'`,
    [
      [inLog, other],
      [late('payment'), other],
    ],
  ],
  [
    'refunds that nobody processes',
    `UPDATE refunds SET settled_at = NULL, due_at = now() - interval '61 seconds', status = 'pending', processed_at = NULL WHERE id = '${processed}'`,
    [
      [inRefundLog, processed],
      [late('refund'), processed],
    ],
  ],
  [
    'transactions that nobody processes',
    `INSERT INTO transactions (transaction_id, source_account, destination_account, amount, currency, request_id, created_at, due_at) VALUES ('txn', 'a', 'b', 1, 'INR', 'r', now() - interval '2 minutes', now() - interval '61 seconds')`,
    [[late('transaction'), 'txn']],
  ],
]

test('nothing is found in a database that is as it should be', async () => {
  expect(await findViolations(database.url)).toEqual([])
})

test.for(breaks)('%s: found', async ([, sql, broken]) => {
  await database.query(withoutGuards(sql))
  const found = (await findViolations(database.url)).flatMap(({ invariant, examples }) =>
    examples.map(({ id }) => [invariant, id]),
  )
  expect(found.sort()).toEqual(broken.toSorted())
})

test('every invariant was broken by some of these, but for the one of events’ follow-ups', () => {
  const broken = new Set(breaks.flatMap(([, , list]) => list.map(([invariant]) => invariant)))
  const unbroken = invariants.map(({ name }) => name).filter((name) => !broken.has(name))
  expect(unbroken).toEqual([late('payment event')])
})

test('work that is late is nobody’s fault while no worker is alive, nor before a minute has passed', async () => {
  await database.query(`
    INSERT INTO transactions (transaction_id, source_account, destination_account, amount, currency, request_id, created_at, due_at)
    VALUES ('txn', 'a', 'b', 1, 'INR', 'r', now() - interval '5 minutes', now() - interval '50 seconds')`)
  expect(await findViolations(database.url)).toEqual([])
  await database.query(`UPDATE transactions SET due_at = now() - interval '2 minutes'`)
  expect(await findViolations(database.url)).toHaveLength(1)
  await database.query(`UPDATE worker_heartbeats SET beat_at = now() - interval '11 seconds'`)
  expect(await findViolations(database.url)).toEqual([])
})

const verify = () =>
  promisify(execFile)(process.execPath, [path.resolve(import.meta.dirname, '../../dist/verify.js')], {
    env: { PATH: process.env.PATH, DATABASE_URL: database.url },
  }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    ({ code, stdout }: { code: number; stdout: string }) => ({ code, stdout }),
  )

test('npm run verify tells what holds with 0, and what does not with 1 and a list', async () => {
  const well = await verify()
  expect(well.code).toBe(0)
  expect(well.stdout.match(/^ok /gm)).toHaveLength(invariants.length)
  await database.query(withoutGuards(`UPDATE orders SET status = 'created'`))
  const broken = await verify()
  expect(broken.code).toBe(1)
  expect(broken.stdout).toContain(`BROKEN  ${inOrders}: not so for 1\n          ${order}: it is created`)
})
