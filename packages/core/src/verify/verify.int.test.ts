// The verifier finds a violation of each invariant, in databases without their constraints.
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
  await database.query(correct)
})
afterEach(() => database.drop())

const order = 'order_0000000000000001'
const payment = 'pay_0000000000000001'
const other = 'pay_0000000000000002'
const processed = 'rfnd_0000000000000001'
const refused = 'rfnd_0000000000000002'
/** An order paid by its second payment, with one processed and one failed refund. */
const correct = `
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

/** Removes what would refuse the change: triggers, foreign keys, checks and unique indexes. */
const withoutGuards = (sql: string) => `
  SET session_replication_role = replica;
  ALTER TABLE payments DROP CONSTRAINT payments_refunded_check, DROP CONSTRAINT payments_captured_check,
    DROP CONSTRAINT payments_settled_check, DROP CONSTRAINT payments_error_check, DROP CONSTRAINT payments_bank_check;
  DROP INDEX payments_one_success;
  ${sql}`

const inRefunds =
  "A payment's refunded amount is the sum of its pending and processed refunds, and within its amount"
const inOrders = 'A paid order has exactly one successful payment, an unpaid order has none'
const inClaims = 'An unpaid order is unclaimed, or claimed by a pending payment that asked the bank'
const inPayments = 'A payment has an order with the same merchant, amount and currency'
const inRefundsPayments = 'A refund has a payment of the same merchant'
const inTooLate = 'A payment that failed with ORDER_ALREADY_PAID has an order that another payment paid'
const inBank = 'A payment that asked the bank ended as the bank responded'
const inRefundBank = 'A refund that asked the bank ended as the bank responded'
const inKeys = 'The stored response of an idempotency key names an existing object of its merchant'
const inLog = 'The log of a payment adds up to its row'
const inRefundLog = 'The log of a refund adds up to its row'
const inOrder = 'The log has its entries in a possible order'
const inEvents = 'An external payment equals the fold of its events'

const setPayment = (id: string, fields: string) => `UPDATE payments SET ${fields} WHERE id = '${id}'`
const setRefund = (id: string, fields: string) => `UPDATE refunds SET ${fields} WHERE id = '${id}'`
const setEntry = (change: string, fields: string) =>
  `UPDATE payment_log SET ${fields} WHERE payment_id = '${payment}' AND change = '${change}'`
const captured = `${setPayment(payment, 'captured = true')}; INSERT INTO payment_log (payment_id, change, amount, cause, request_id)
  VALUES ('${payment}', 'captured', 1000, 'merchant', 'r')`
const pending = `status = 'pending', settled_at = NULL, error_code = NULL`
/** Without a bank response, after or before the bank was asked. */
const [atBank, unasked] = ['bank_answer = NULL', 'bank_answer = NULL, bank_asked_at = NULL']
const withoutAsking = (id: string) =>
  `DELETE FROM payment_log WHERE payment_id = '${id}' AND change IN ('bank_asked', 'failed')`

/** The violating ids of each invariant. */
type Broken = Record<string, string[]>
const violations: Array<[name: string, sql: string, broken: Broken]> = [
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
    'a paid order without a payment',
    'DELETE FROM payment_log; DELETE FROM refunds; DELETE FROM payments; DELETE FROM idempotency_keys',
    { [inOrders]: [order] },
  ],
  [
    'an unpaid order with a successful payment',
    `UPDATE orders SET status = 'created'`,
    { [inOrders]: [order], [inClaims]: [order] },
  ],
  [
    'a paid order that is claimed by another payment',
    `UPDATE orders SET claimed_by = '${other}'`,
    { [inOrders]: [order] },
  ],
  [
    'payments and a stored response without their order',
    'DELETE FROM orders',
    { [inPayments]: [payment, other], [inKeys]: ['for-order'] },
  ],
  [
    'a payment of another amount',
    setPayment(other, 'amount = 999'),
    { [inPayments]: [other], [inLog]: [other] },
  ],
  [
    'refunds and a stored response without their payment',
    `DELETE FROM payment_log WHERE payment_id = '${payment}'; DELETE FROM payments WHERE id = '${payment}'; UPDATE orders SET status = 'created'`,
    {
      [inRefundsPayments]: [processed, refused],
      [inRefundLog]: [processed, refused],
      [inClaims]: [order],
      [inKeys]: ['for-payment'],
    },
  ],
  [
    'a stored response that names another merchant’s refund',
    setRefund(processed, `merchant_id = gen_random_uuid()`),
    { [inRefundsPayments]: [processed], [inKeys]: ['for-refund'] },
  ],
  ['a missing log', `DELETE FROM payment_log WHERE payment_id = '${other}'`, { [inLog]: [other] }],
  ['a capture without a log entry', setPayment(payment, 'captured = true'), { [inLog]: [payment] }],
  ['a status without a log entry', setPayment(other, `status = 'pending', ${unasked}`), { [inLog]: [other] }],
  [
    'an amount in the log that differs from the payment',
    setEntry('created', 'amount = 1'),
    { [inLog]: [payment] },
  ],
  [
    'an amount in the last entry that differs from the payment',
    setEntry('success', 'amount = 1'),
    { [inLog]: [payment] },
  ],
  [
    'an amount in the log that differs from the refund',
    setEntry('refund_processed', 'amount = 1'),
    { [inRefundLog]: [processed] },
  ],
  [
    'a payment that ended before the bank was asked',
    setEntry('bank_asked', `id = 1000`),
    { [inOrder]: [payment] },
  ],
  [
    'a payment that was created after all other entries',
    setEntry('created', 'id = 1000'),
    { [inOrder]: [payment] },
  ],
  [
    'a refund that was created before its payment succeeded',
    `${setEntry('success', 'id = 1000')}`,
    { [inOrder]: [payment] },
  ],
  [
    'a refund that ended before it was created',
    `${setEntry('refund_processed', 'id = 1000')}; UPDATE payment_log SET id = 1001 WHERE refund_id = '${processed}' AND change = 'refund_created'`,
    { [inOrder]: [payment] },
  ],
  ['a capture after a refund', captured, { [inOrder]: [payment] }],
  [
    'a success that the bank refused',
    setPayment(payment, `bank_answer = '{"outcome":"failed","errorCode":"DECLINED"}'`),
    { [inBank]: [payment] },
  ],
  ['a success without a bank response', setPayment(payment, atBank), { [inBank]: [payment] }],
  [
    'a failure after a success response',
    setPayment(other, `bank_answer = '{"outcome":"success"}'`),
    { [inBank]: [other] },
  ],
  ['a failure without a bank response', setPayment(other, atBank), { [inBank]: [other] }],
  [
    'an error code that differs from the bank response',
    setPayment(other, `error_code = 'EXPIRED'`),
    { [inBank]: [other] },
  ],
  [
    'a processed refund that the bank refused',
    setRefund(processed, `bank_answer = '{"outcome":"failed"}'`),
    { [inRefundBank]: [processed] },
  ],
  [
    'a processed refund without a bank response',
    setRefund(processed, atBank),
    { [inRefundBank]: [processed] },
  ],
  [
    'a refund’s error code that differs from the bank response',
    setRefund(refused, `error_code = 'X'`),
    { [inRefundBank]: [refused] },
  ],
  [
    'a payment that failed with ORDER_ALREADY_PAID without another payment',
    `${setPayment(other, `error_code = 'ORDER_ALREADY_PAID', order_id = 'order_0000000000000002', ${unasked}`)};
     INSERT INTO orders (id, merchant_id, amount) VALUES ('order_0000000000000002', '${SEEDED_MERCHANT_ID}', 1000);
     ${withoutAsking(other)}; INSERT INTO payment_log (payment_id, change, amount, cause, request_id) VALUES ('${other}', 'failed', 1000, 'another payment paid the order', 'r')`,
    { [inTooLate]: [other] },
  ],
  [
    'a failed refund that became processed',
    `${setRefund(refused, `status = 'processed', error_code = NULL, processed_at = now()`)}; ${setPayment(payment, 'refunded_amount = 700')}`,
    { [inLog]: [payment], [inRefundLog]: [refused], [inRefundBank]: [refused] },
  ],
  [
    'an order that is claimed by a failed payment',
    `UPDATE orders SET status = 'created', claimed_by = '${other}'; DELETE FROM idempotency_keys; DELETE FROM payment_log WHERE payment_id = '${payment}'; DELETE FROM refunds; DELETE FROM payments WHERE id = '${payment}'`,
    { [inClaims]: [order] },
  ],
  [
    'a payment that asked the bank without the claim of its order',
    setPayment(other, pending),
    { [inClaims]: [other], [inLog]: [other] },
  ],
  [
    'an external payment that differs from its events',
    `INSERT INTO external_payments SELECT 'ext', 'completed', 'e', 1, 100, 'USD', 'u', 'completed', 'e', 1, '{}', 0, 1, now(), now()`,
    { [inEvents]: ['ext'] },
  ],
]

test('a correct database has no violations', async () => {
  expect(await findViolations(database.url)).toEqual([])
})

test.for(violations)('the verifier finds %s', async ([, sql, broken]) => {
  await database.query(withoutGuards(sql))
  const found = (await findViolations(database.url)).map(({ invariant, examples }) => [
    invariant,
    examples.map(({ id }) => id).sort(),
  ])
  expect(Object.fromEntries(found)).toEqual(broken)
})

test('each invariant of money has a violation here', () => {
  const broken = new Set(violations.flatMap(([, , invariantsBroken]) => Object.keys(invariantsBroken)))
  const ofMoney = [...moneyInvariants, ...logInvariants, paymentsAreTheirEvents].map(({ name }) => name)
  expect([...broken].sort()).toEqual(ofMoney.sort())
})

test('an expired response may name a missing object', async () => {
  await database.query(
    withoutGuards(`UPDATE idempotency_keys SET expires_at = now(), response = '{"id":"${order}x"}'`),
  )
  expect(await findViolations(database.url)).toEqual([])
})

test('a payment that a notification settles needs no bank', async () => {
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

test('npm run verify exits with 0 when all invariants hold, else with 1 and a list', async () => {
  const intact = await verify()
  expect(intact.code).toBe(0)
  expect(intact.stdout.match(/^ok /gm)).toHaveLength(invariants.length)
  await database.query(withoutGuards(`UPDATE orders SET status = 'created'`))
  const broken = await verify()
  expect(broken.code).toBe(1)
  expect(broken.stdout).toContain(`BROKEN  ${inOrders}: 1 violation\n          ${order}: it is created`)
})
