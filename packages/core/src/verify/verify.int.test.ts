// The verifier finds what breaks each invariant, in databases whose own constraints were taken away to get there.
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { createDatabase, SEEDED_MERCHANT_ID, type TestDatabase } from '@sluice/testing'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { paymentsAreTheirEvents } from './external-payments.ts'
import { invariants } from './invariants.ts'
import { logInvariants } from './log.ts'
import { moneyInvariants } from './money.ts'
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
  INSERT INTO payments (id, order_id, merchant_id, amount, method, vpa, status, settled_at, error_code, bank_asked_at, bank_answer) VALUES
    ('${other}', '${order}', '${SEEDED_MERCHANT_ID}', 1000, 'upi', 'a@b', 'failed', now(), 'DECLINED', now(), '{"outcome":"failed","errorCode":"DECLINED","settlesInMs":5}'),
    ('${payment}', '${order}', '${SEEDED_MERCHANT_ID}', 1000, 'upi', 'a@b', 'success', now(), NULL, now(), '{"outcome":"success","settlesInMs":5}');
  UPDATE orders SET status = 'paid', claimed_by = '${payment}';
  INSERT INTO refunds (id, payment_id, merchant_id, amount, status, processed_at, settled_at, error_code, bank_asked_at, bank_answer) VALUES
    ('${processed}', '${payment}', '${SEEDED_MERCHANT_ID}', 400, 'processed', now(), now(), NULL, now(), '{"outcome":"success","settlesInMs":5}'),
    ('${refused}', '${payment}', '${SEEDED_MERCHANT_ID}', 300, 'failed', NULL, now(), 'REFUND_FAILED', now(), '{"outcome":"failed","errorCode":"REFUND_FAILED","settlesInMs":5}');
  INSERT INTO payment_log (payment_id, change, refund_id, amount, cause, request_id) VALUES
    ('${other}', 'created', NULL, 1000, 'merchant', 'r'), ('${other}', 'bank_asked', NULL, 1000, 'worker', 'r'), ('${other}', 'failed', NULL, 1000, 'bank', 'r'),
    ('${payment}', 'created', NULL, 1000, 'merchant', 'r'), ('${payment}', 'bank_asked', NULL, 1000, 'worker', 'r'), ('${payment}', 'success', NULL, 1000, 'bank', 'r'),
    ('${payment}', 'refund_created', '${processed}', 400, 'merchant', 'r'), ('${payment}', 'refund_processed', '${processed}', 400, 'bank', 'r'),
    ('${payment}', 'refund_created', '${refused}', 300, 'merchant', 'r'), ('${payment}', 'refund_failed', '${refused}', 300, 'bank', 'r');
  INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, status, response, expires_at)
    SELECT '${SEEDED_MERCHANT_ID}', '', key, 'f', 201, json_build_object('id', id), now() + interval '1 h'
    FROM (VALUES ('for-order', '${order}'), ('for-payment', '${payment}'), ('for-refund', '${processed}'), ('for-another', 'x')) AS keys(key, id);`

/** Takes away what would refuse it: triggers, foreign keys, checks and unique indexes. */
const withoutGuards = (sql: string) => `
  SET session_replication_role = replica;
  ALTER TABLE payments DROP CONSTRAINT payments_refunded_check, DROP CONSTRAINT payments_captured_check,
    DROP CONSTRAINT payments_settled_check, DROP CONSTRAINT payments_error_check, DROP CONSTRAINT payments_bank_check;
  DROP INDEX payments_one_success;
  ${sql}`

const inRefunds = 'The pending and processed refunds of a payment are what it says, and within its amount'
const inOrders = 'An order is paid by exactly one payment, or by none and not paid'
const inClaims = 'An order that is not paid is held by nobody, or by a pending payment that asks the bank'
const inPayments = 'A payment has its order, and the same merchant, amount and currency'
const inRefundsPayments = 'A refund has its payment, and the same merchant'
const inTooLate = 'A payment that came too late has an order that another one paid'
const inBank = 'A payment ended as the bank said, unless nobody asked it'
const inRefundBank = 'A refund ended as the bank said, unless nobody asked it'
const inKeys = 'The stored answer to a request with a key names something of that merchant'
const inLog = 'The log of a payment tells how it became what it is'
const inRefundLog = 'The log of a refund tells how it became what it is'
const inOrder = 'The log tells things in an order in which they can happen'
const inEvents = 'An external payment is what the set of its events says'

const setPayment = (id: string, fields: string) => `UPDATE payments SET ${fields} WHERE id = '${id}'`
const setRefund = (id: string, fields: string) => `UPDATE refunds SET ${fields} WHERE id = '${id}'`
const setEntry = (change: string, fields: string) =>
  `UPDATE payment_log SET ${fields} WHERE payment_id = '${payment}' AND change = '${change}'`
const captured = `${setPayment(payment, 'captured = true')}; INSERT INTO payment_log (payment_id, change, amount, cause, request_id)
  VALUES ('${payment}', 'captured', 1000, 'merchant', 'r')`
const pending = `status = 'pending', settled_at = NULL, error_code = NULL`
/** As at a bank that takes its time, or before it was asked. */
const [atBank, unasked] = ['bank_answer = NULL', 'bank_answer = NULL, bank_asked_at = NULL']
const withoutAsking = (id: string) =>
  `DELETE FROM payment_log WHERE payment_id = '${id}' AND change IN ('bank_asked', 'failed')`

/** By what is broken: the ids that break it. */
type Broken = Record<string, string[]>
const breaks: Array<[what: string, sql: string, broken: Broken]> = [
  [
    'a sum of refunds that is too low',
    'UPDATE payments SET refunded_amount = 300',
    { [inRefunds]: [payment, other], [inLog]: [payment, other] },
  ],
  [
    'refunds above the payment',
    `${setRefund(processed, 'amount = 1001')}; ${setPayment(payment, 'refunded_amount = 1001')}`,
    { [inRefunds]: [payment], [inLog]: [payment], [inRefundLog]: [processed] },
  ],
  [
    'a refund that was not released',
    setPayment(payment, 'refunded_amount = 700'),
    { [inRefunds]: [payment], [inLog]: [payment] },
  ],
  [
    'two successful payments',
    setPayment(other, `status = 'success'`),
    { [inOrders]: [order], [inLog]: [other], [inBank]: [other] },
  ],
  [
    'an order that was paid by nobody',
    'DELETE FROM payment_log; DELETE FROM refunds; DELETE FROM payments; DELETE FROM idempotency_keys',
    { [inOrders]: [order] },
  ],
  [
    'an order that does not know it was paid',
    `UPDATE orders SET status = 'created'`,
    { [inOrders]: [order], [inClaims]: [order] },
  ],
  [
    'an order that names another payment',
    `UPDATE orders SET claimed_by = '${other}'`,
    { [inOrders]: [order] },
  ],
  [
    'payments and an answer without their order',
    'DELETE FROM orders',
    { [inPayments]: [payment, other], [inKeys]: ['for-order'] },
  ],
  [
    'a payment of another amount',
    setPayment(other, 'amount = 999'),
    { [inPayments]: [other], [inLog]: [other] },
  ],
  [
    'refunds and an answer without their payment',
    `DELETE FROM payment_log WHERE payment_id = '${payment}'; DELETE FROM payments WHERE id = '${payment}'; UPDATE orders SET status = 'created'`,
    {
      [inRefundsPayments]: [processed, refused],
      [inRefundLog]: [processed, refused],
      [inClaims]: [order],
      [inKeys]: ['for-payment'],
    },
  ],
  [
    'an answer that names another merchant’s refund',
    setRefund(processed, `merchant_id = gen_random_uuid()`),
    { [inRefundsPayments]: [processed], [inKeys]: ['for-refund'] },
  ],
  ['a history that was lost', `DELETE FROM payment_log WHERE payment_id = '${other}'`, { [inLog]: [other] }],
  ['a capture that nobody knows of', setPayment(payment, 'captured = true'), { [inLog]: [payment] }],
  [
    'a status that nobody knows of',
    setPayment(other, `status = 'pending', ${unasked}`),
    { [inLog]: [other] },
  ],
  [
    'an amount in the log that is not the payment’s',
    setEntry('created', 'amount = 1'),
    { [inLog]: [payment] },
  ],
  ['and in that of its end', setEntry('success', 'amount = 1'), { [inLog]: [payment] }],
  [
    'an amount in the log that is not the refund’s',
    setEntry('refund_processed', 'amount = 1'),
    { [inRefundLog]: [processed] },
  ],
  [
    'a payment that ended before the bank was asked',
    setEntry('bank_asked', `id = 1000`),
    { [inOrder]: [payment] },
  ],
  ['a payment that was made after all else', setEntry('created', 'id = 1000'), { [inOrder]: [payment] }],
  [
    'a refund that was made before its payment succeeded',
    `${setEntry('success', 'id = 1000')}`,
    { [inOrder]: [payment] },
  ],
  [
    'a refund that ended before it was made',
    `${setEntry('refund_processed', 'id = 1000')}; UPDATE payment_log SET id = 1001 WHERE refund_id = '${processed}' AND change = 'refund_created'`,
    { [inOrder]: [payment] },
  ],
  ['a capture of what was refunded', captured, { [inOrder]: [payment] }],
  [
    'a success that the bank refused',
    setPayment(payment, `bank_answer = '{"outcome":"failed","errorCode":"DECLINED"}'`),
    { [inBank]: [payment] },
  ],
  ['a success of which the bank said nothing', setPayment(payment, atBank), { [inBank]: [payment] }],
  [
    'a failure that the bank called a success',
    setPayment(other, `bank_answer = '{"outcome":"success"}'`),
    { [inBank]: [other] },
  ],
  ['a failure of which the bank said nothing', setPayment(other, atBank), { [inBank]: [other] }],
  ['another error than the bank’s', setPayment(other, `error_code = 'EXPIRED'`), { [inBank]: [other] }],
  [
    'a refund that the bank refused',
    setRefund(processed, `bank_answer = '{"outcome":"failed"}'`),
    { [inRefundBank]: [processed] },
  ],
  ['a refund of which the bank said nothing', setRefund(processed, atBank), { [inRefundBank]: [processed] }],
  [
    'another error than the bank’s of a refund',
    setRefund(refused, `error_code = 'X'`),
    { [inRefundBank]: [refused] },
  ],
  [
    'a payment that was too late for nobody',
    `${setPayment(other, `error_code = 'ORDER_ALREADY_PAID', order_id = 'order_0000000000000002', ${unasked}`)};
     INSERT INTO orders (id, merchant_id, amount) VALUES ('order_0000000000000002', '${SEEDED_MERCHANT_ID}', 1000);
     ${withoutAsking(other)}; INSERT INTO payment_log (payment_id, change, amount, cause, request_id) VALUES ('${other}', 'failed', 1000, 'another payment paid the order', 'r')`,
    { [inTooLate]: [other] },
  ],
  [
    'a refund that came back to life',
    `${setRefund(refused, `status = 'processed', error_code = NULL, processed_at = now()`)}; ${setPayment(payment, 'refunded_amount = 700')}`,
    { [inLog]: [payment], [inRefundLog]: [refused], [inRefundBank]: [refused] },
  ],
  [
    'an order that a dead payment holds',
    `UPDATE orders SET status = 'created', claimed_by = '${other}'; DELETE FROM idempotency_keys; DELETE FROM payment_log WHERE payment_id = '${payment}'; DELETE FROM refunds; DELETE FROM payments WHERE id = '${payment}'`,
    { [inClaims]: [order] },
  ],
  [
    'a payment that asks the bank without holding its order',
    setPayment(other, pending),
    { [inClaims]: [other], [inLog]: [other] },
  ],
  [
    'an external payment that differs from its events',
    `INSERT INTO external_payments SELECT 'ext', 'completed', 'e', 1, 100, 'USD', 'u', 'completed', 'e', 1, '{}', 0, 1, now(), now()`,
    { [inEvents]: ['ext'] },
  ],
]

test('nothing is found in a database that is as it should be', async () => {
  expect(await findViolations(database.url)).toEqual([])
})

test.for(breaks)('%s: found', async ([, sql, broken]) => {
  await database.query(withoutGuards(sql))
  const found = (await findViolations(database.url)).map(({ invariant, examples }) => [
    invariant,
    examples.map(({ id }) => id).sort(),
  ])
  expect(Object.fromEntries(found)).toEqual(broken)
})

test('every invariant of money was broken by some of these', () => {
  const broken = new Set(breaks.flatMap(([, , invariantsBroken]) => Object.keys(invariantsBroken)))
  const ofMoney = [...moneyInvariants, ...logInvariants, paymentsAreTheirEvents].map(({ name }) => name)
  expect([...broken].sort()).toEqual(ofMoney.sort())
})

test('an answer that is no longer given may name what is gone', async () => {
  await database.query(
    withoutGuards(`UPDATE idempotency_keys SET expires_at = now(), response = '{"id":"${order}x"}'`),
  )
  expect(await findViolations(database.url)).toEqual([])
})

test('what notifications end needs no bank', async () => {
  await database.query(
    withoutGuards(`UPDATE payments SET method = 'gateway', vpa = NULL, ${unasked};
      DELETE FROM payment_log WHERE change = 'bank_asked'`),
  )
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
