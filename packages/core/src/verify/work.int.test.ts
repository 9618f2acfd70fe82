// The verifier finds late or lost work and wrong webhooks, and accepts the traces of slow banks, endpoints and crashes.
import { createDatabase, SEEDED_MERCHANT_ID, type TestDatabase } from '@sluice/testing'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { findViolations } from './verify.ts'
import { workInvariants } from './work.ts'

let database: TestDatabase
beforeEach(async () => {
  database = await createDatabase(inject('postgresUrl'))
  await database.query(healthy)
})
afterEach(() => database.drop())

const payId = (n: number) => `pay_000000000000000${n}`
const orderId = (n: number) => `order_000000000000000${n}`
const [atBank, waiting, notified] = [payId(1), payId(2), payId(3)]
const refund = 'rfnd_0000000000000001'
/** Webhooks by state. */
const webhooks = {
  landed: '00000000-0000-4000-8000-000000000001',
  givenUp: '00000000-0000-4000-8000-000000000002',
  withoutUrl: '00000000-0000-4000-8000-000000000003',
  retried: '00000000-0000-4000-8000-000000000004',
  claimed: '00000000-0000-4000-8000-000000000005',
  forgotten: '00000000-0000-4000-8000-000000000006',
  old: '00000000-0000-4000-8000-000000000007',
}

/**
 * A payment at a bank that takes ten days, one that waits for the order, one that waits for a notification, and a refund.
 * Webhooks: `landed` succeeded at the second attempt, and the first was recorded late. `givenUp` failed after its attempts,
 * `withoutUrl` failed without a URL. `retried` waits for a retry after a lease without a record. The lease of `claimed`
 * belongs to a worker that died. `forgotten` waits for its first attempt. The attempts of `old` were removed.
 */
const healthy = `
  INSERT INTO worker_heartbeats (worker_id, hostname, pid, started_at) VALUES ('w', 'h', 1, now() - interval '2 minutes');
  INSERT INTO orders (id, merchant_id, amount) SELECT id, '${SEEDED_MERCHANT_ID}', 1000 FROM unnest('{${orderId(1)},${orderId(3)},${orderId(4)}}'::text[]) AS id;
  INSERT INTO payments (id, order_id, merchant_id, amount, method, vpa, status, settled_at, due_at, bank_asked_at, bank_answer) VALUES
    ('${atBank}', '${orderId(1)}', '${SEEDED_MERCHANT_ID}', 1000, 'upi', 'a@b', 'pending', NULL, now() + interval '10 days', now(), '{"outcome":"success","settlesInMs":864000000}'),
    ('${waiting}', '${orderId(1)}', '${SEEDED_MERCHANT_ID}', 1000, 'upi', 'a@b', 'pending', NULL, now() + interval '10 days 2 seconds', NULL, NULL),
    ('${notified}', '${orderId(3)}', '${SEEDED_MERCHANT_ID}', 1000, 'gateway', NULL, 'created', NULL, 'infinity', NULL, NULL),
    ('${payId(4)}', '${orderId(4)}', '${SEEDED_MERCHANT_ID}', 1000, 'upi', 'a@b', 'success', now(), now(), now(), '{"outcome":"success","settlesInMs":1}');
  UPDATE orders SET claimed_by = '${atBank}' WHERE id = '${orderId(1)}';
  UPDATE orders SET claimed_by = '${payId(4)}', status = 'paid' WHERE id = '${orderId(4)}';
  INSERT INTO refunds (id, payment_id, merchant_id, amount, due_at, bank_asked_at, bank_answer) VALUES
    ('${refund}', '${payId(4)}', '${SEEDED_MERCHANT_ID}', 100, now() + interval '20 days', now(), '{"outcome":"success","settlesInMs":1728000000}');
  INSERT INTO payment_log (payment_id, change, refund_id, amount, cause, request_id) VALUES
    ('${atBank}', 'created', NULL, 1000, 'c', 'r'), ('${atBank}', 'bank_asked', NULL, 1000, 'c', 'r'), ('${waiting}', 'created', NULL, 1000, 'c', 'r'),
    ('${notified}', 'created', NULL, 1000, 'c', 'r'), ('${payId(4)}', 'created', NULL, 1000, 'c', 'r'), ('${payId(4)}', 'bank_asked', NULL, 1000, 'c', 'r'),
    ('${payId(4)}', 'success', NULL, 1000, 'bank', 'r'), ('${payId(4)}', 'refund_created', '${refund}', 100, 'c', 'r');
  INSERT INTO webhook_logs (id, merchant_id, event, payload, status, attempts, attempt_number, created_at, last_attempt_at,
                            next_retry_at, settled_at, claimed_until, response_code, error)
  SELECT id::uuid, '${SEEDED_MERCHANT_ID}', 'payment.success', '{}', status, attempts, number, now() - age, CASE WHEN attempts > 0 THEN now() - age END,
         CASE WHEN status = 'pending' THEN now() END, CASE WHEN status <> 'pending' THEN now() - age END, claimed_until, code, error
  FROM (VALUES
    ('${webhooks.landed}', 'success', 1, 2, interval '0', NULL, 200, NULL),
    ('${webhooks.givenUp}', 'failed', 5, 6, interval '0', NULL, NULL, 'timeout'),
    ('${webhooks.withoutUrl}', 'failed', 0, 1, interval '0', NULL, NULL, 'no_url'),
    ('${webhooks.retried}', 'pending', 1, 3, interval '0', NULL, 500, NULL),
    ('${webhooks.claimed}', 'pending', 0, 1, interval '0', now() - interval '1 minute', NULL, NULL),
    ('${webhooks.forgotten}', 'pending', 0, 0, interval '0', NULL, NULL, NULL),
    ('${webhooks.old}', 'success', 2, 2, interval '2 days', NULL, 200, NULL)
  ) AS w(id, status, attempts, number, age, claimed_until, code, error);
  INSERT INTO webhook_attempts (delivery_id, number, at, duration_ms, response_code, error)
  SELECT id::uuid, number, now() - before, 5, code, CASE WHEN code IS NULL THEN 'timeout' END
  FROM (VALUES
    ('${webhooks.landed}', 1, interval '10 s', 200), ('${webhooks.landed}', 2, interval '0', 200),
    ('${webhooks.givenUp}', 1, interval '5 s', 500), ('${webhooks.givenUp}', 3, interval '4 s', 500), ('${webhooks.givenUp}', 4, interval '3 s', 500),
    ('${webhooks.givenUp}', 5, interval '2 s', 500), ('${webhooks.givenUp}', 6, interval '0', NULL),
    ('${webhooks.retried}', 1, interval '1 h', 200), ('${webhooks.retried}', 3, interval '0', 500)
  ) AS a(id, number, before, code)`

/** Disables triggers and foreign keys. */
const withoutGuards = (sql: string) => `SET session_replication_role = replica; ${sql}`
const setPayment = (id: string, fields: string) => `UPDATE payments SET ${fields} WHERE id = '${id}'`
const setRefund = (fields: string) => `UPDATE refunds SET ${fields}`
const setWebhook = (id: string, fields: string) => `UPDATE webhook_logs SET ${fields} WHERE id = '${id}'`
const dropAttempt = (id: string, number: number) =>
  `DELETE FROM webhook_attempts WHERE delivery_id = '${id}' AND number = ${number}`
const isOver = (status: string) => `status = '${status}', settled_at = now(), next_retry_at = NULL`
const isOpen = `status = 'pending', settled_at = NULL, next_retry_at = now()`
const aMinuteAgo = `now() - interval '61 seconds'`

const late = (kind: string) => `No ${kind} is more than 60 s overdue while a worker is alive`
const tooFar = (kind: string) => `No open ${kind} is due later than its bank response allows`
const inAttempts = 'The state of a webhook follows from its attempts'
const isForgotten =
  'No webhook waits for its first attempt for more than 60 s while a worker is free to make it'

const { landed, givenUp, withoutUrl, retried, claimed, forgotten, old } = webhooks
const violations: Array<[invariant: string, name: string, sql: string, id: string]> = [
  [late('payment'), 'an unsettled payment', setPayment(atBank, `due_at = ${aMinuteAgo}`), atBank],
  [late('refund'), 'an unsettled refund', setRefund(`due_at = ${aMinuteAgo}`), refund],
  [
    late('transaction'),
    'an unprocessed transaction',
    `INSERT INTO transactions (transaction_id, source_account, destination_account, amount, currency, request_id, created_at, due_at)
     VALUES ('txn', 'a', 'b', 1, 'INR', 'r', now() - interval '2 minutes', ${aMinuteAgo})`,
    'txn',
  ],
  [tooFar('payment'), 'a payment that is never due', setPayment(atBank, `due_at = 'infinity'`), atBank],
  [
    tooFar('payment'),
    'a payment that is due later than the bank responded',
    setPayment(atBank, `due_at = due_at + interval '2 minutes'`),
    atBank,
  ],
  [
    tooFar('payment'),
    'a payment that is due later than the claim of its order',
    setPayment(waiting, `due_at = due_at + interval '2 minutes'`),
    waiting,
  ],
  [
    tooFar('payment'),
    'a payment that is due later than any bank takes',
    setPayment(atBank, `due_at = now() + interval '26 days', bank_answer = '{"settlesInMs":1e30}'`),
    atBank,
  ],
  [tooFar('refund'), 'a refund that is never due', setRefund(`due_at = 'infinity'`), refund],
  [tooFar('refund'), 'a refund without a bank response', setRefund(`bank_answer = NULL`), refund],
  [
    inAttempts,
    'a success without an attempt',
    setWebhook(forgotten, `${isOver('success')}, response_code = 200`),
    forgotten,
  ],
  [inAttempts, 'a success after a refused attempt', setWebhook(retried, isOver('success')), retried],
  [
    inAttempts,
    'a success whose attempt got an error',
    `UPDATE webhook_attempts SET response_code = 500 WHERE delivery_id = '${landed}'`,
    landed,
  ],
  [inAttempts, 'a success whose attempt is missing', dropAttempt(landed, 2), landed],
  [inAttempts, 'a success with the code 500', setWebhook(old, 'response_code = 500'), old],
  [inAttempts, 'a success without a last attempt', setWebhook(old, 'last_attempt_at = NULL'), old],
  [inAttempts, 'a failure after a successful attempt', setWebhook(landed, isOver('failed')), landed],
  [inAttempts, 'a failure before the fifth attempt', setWebhook(retried, isOver('failed')), retried],
  [inAttempts, 'a failure without an attempt', setWebhook(forgotten, isOver('failed')), forgotten],
  [inAttempts, 'a failure without a record', setWebhook(claimed, isOver('failed')), claimed],
  [
    inAttempts,
    'a failure without a URL and without a lease',
    setWebhook(withoutUrl, 'attempt_number = 0'),
    withoutUrl,
  ],
  [inAttempts, 'an open webhook after its last attempt', setWebhook(givenUp, isOpen), givenUp],
  [inAttempts, 'more attempts than records', setWebhook(retried, 'attempts = 3'), retried],
  [inAttempts, 'an attempt that was never leased', setWebhook(retried, 'attempt_number = 2'), retried],
  [inAttempts, 'attempts without a last attempt', setWebhook(retried, 'last_attempt_at = NULL'), retried],
  [
    inAttempts,
    'a last attempt without a record',
    setWebhook(retried, `last_attempt_at = now() - interval '1 s'`),
    retried,
  ],
  [
    inAttempts,
    'a response code that differs from the last attempt',
    setWebhook(retried, 'response_code = 404'),
    retried,
  ],
]

const found = async () =>
  (await findViolations(database.url)).flatMap(({ invariant, examples }) =>
    examples.map(({ id }) => [invariant, id]),
  )

test('a healthy database has no violations', async () => {
  expect(await found()).toEqual([])
})

test.for(violations)('%s: %s', async ([invariant, , sql, id]) => {
  await database.query(withoutGuards(sql))
  expect(await found()).toEqual([[invariant, id]])
})

test('each invariant of work has a violation here, except the one for payment events', () => {
  const broken = new Set([...violations.map(([invariant]) => invariant), isForgotten])
  const unbroken = workInvariants.map(({ name }) => name).filter((name) => !broken.has(name))
  expect(unbroken).toEqual([late('payment event')])
})

test('overdue work counts only after a minute, and only while a worker is alive', async () => {
  await database.query(setPayment(atBank, `due_at = now() - interval '50 seconds'`))
  expect(await found()).toEqual([])
  await database.query(setPayment(atBank, `due_at = ${aMinuteAgo}`))
  expect(await found()).toHaveLength(1)
  await database.query(`UPDATE worker_heartbeats SET beat_at = now() - interval '11 seconds'`)
  expect(await found()).toEqual([])
})

describe('a first attempt that waits for more than a minute', () => {
  /** All other webhooks ended some time ago, and the worker started more than a minute ago. */
  const isLate = `${withoutGuards(setWebhook(forgotten, `next_retry_at = ${aMinuteAgo}`))};
    DELETE FROM webhook_logs WHERE id <> '${forgotten}'; DELETE FROM webhook_attempts`
  const anotherWebhook = (merchant: string, fields: string, values: string) => `
    INSERT INTO webhook_logs (merchant_id, event, payload, attempt_number, ${fields}) SELECT ${merchant}, 'e', '{}', 1, ${values}`

  test('is forgotten when a worker is free to make it', async () => {
    await database.query(isLate)
    expect(await found()).toEqual([[isForgotten, forgotten]])
  })

  test.each([
    ['is not late yet', setWebhook(forgotten, `next_retry_at = now() - interval '50 seconds'`)],
    ['has no worker', `DELETE FROM worker_heartbeats`],
    ['has a dead worker', `UPDATE worker_heartbeats SET beat_at = now() - interval '11 seconds'`],
    [
      'has a worker that has just started',
      `UPDATE worker_heartbeats SET started_at = now() - interval '50 seconds'`,
    ],
    [
      'is behind another attempt in flight to the same endpoint',
      anotherWebhook(`'${SEEDED_MERCHANT_ID}'`, 'claimed_until', `now() + interval '5 s'`),
    ],
    [
      'is behind another attempt that ended just now',
      anotherWebhook(
        `'${SEEDED_MERCHANT_ID}'`,
        'status, error, next_retry_at, settled_at',
        `'failed', 'no_url', NULL, now()`,
      ),
    ],
    [
      'is behind as many attempts to other endpoints as a worker has slots',
      anotherWebhook(
        `gen_random_uuid()`,
        'claimed_until',
        `now() + interval '5 s' FROM generate_series(1, 96)`,
      ),
    ],
  ])('is not forgotten when it %s', async (_reason, sql) => {
    await database.query(`${isLate}; ${sql}`)
    expect(await found()).toEqual([])
  })
})
