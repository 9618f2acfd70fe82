// Constraints of the gateway's tables: each check, key and reference by name (triggers: money-constraints.int.test.ts).
import { createDatabase, SEEDED_MERCHANT_ID, type TestDatabase } from '@sluice/testing'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest'

let database: TestDatabase
let client: pg.Client
beforeAll(async () => {
  database = await createDatabase(inject('postgresUrl'))
  client = await database.session()
})
afterAll(async () => {
  await client?.end()
  await database?.drop()
})

const tables = [
  'merchants',
  'merchant_accounts',
  'sessions',
  'orders',
  'payments',
  'refunds',
  'payment_log',
  'idempotency_keys',
]

type Fields = Record<string, unknown>
const suffix = (n: number) => String(n).padStart(16, '0')
const orderId = (n: number) => `order_${suffix(n)}`
const payId = (n: number) => `pay_${suffix(n)}`
const refundId = (n: number) => `rfnd_${suffix(n)}`
const OTHER = '11111111-1111-4111-8111-111111111111'
const now = new Date()
const settled = { settled_at: now }
const response = { bank_answer: '{"outcome":"success"}' }

/** Valid rows; each case changes one of them a little. */
const merchant_id = SEEDED_MERCHANT_ID
const valid: Record<string, Fields> = {
  merchants: { id: OTHER, name: 'Other', email: 'other@x.example', api_key: 'key_o', api_secret: 's' },
  merchant_accounts: { account: 'acc_new', merchant_id },
  sessions: { token_hash: 'h', merchant_id, expires_at: new Date(Date.now() + 60_000) },
  orders: { id: orderId(9), merchant_id, amount: 1000 },
  payments: {
    ...{ id: payId(9), order_id: orderId(1), merchant_id, amount: 1000 },
    ...{ method: 'upi', vpa: 'a@b', status: 'pending' },
  },
  refunds: { id: refundId(9), payment_id: payId(2), merchant_id, amount: 100 },
  payment_log: { payment_id: payId(2), change: 'captured', amount: 1000, cause: 'c', request_id: 'r' },
  idempotency_keys: {
    ...{ merchant_id, key: 'k', fingerprint: 'f' },
    ...{ status: 201, response: '{}', expires_at: now },
  },
}

function insert(table: string, over: Fields = {}) {
  const row = { ...valid[table], ...over }
  const places = Object.keys(row).map((_, i) => `$${i + 1}`)
  return client.query(
    `INSERT INTO ${table} (${Object.keys(row).join()}) VALUES (${places.join()})`,
    Object.values(row),
  )
}

const success = { status: 'success', ...settled }
const failed = { status: 'failed', error_code: 'X', ...settled }
const card = { method: 'card', vpa: null, card_network: 'visa', card_last4: '1111' }

/** Payment 3 of the open order 1 is pending. Payment 2 has paid order 2, and has the pending refund 1 of 100. */
beforeEach(async () => {
  await client.query('BEGIN')
  await insert('orders', { id: orderId(1) })
  await insert('orders', { id: orderId(2) })
  await insert('payments', { id: payId(2), order_id: orderId(2), ...success })
  await insert('payments', { id: payId(3) })
  await client.query(
    `UPDATE orders SET status = 'paid', claimed_by = '${payId(2)}' WHERE id = '${orderId(2)}'`,
  )
  await insert('refunds', { id: refundId(1) })
  await insert('payment_log', { change: 'refund_created', refund_id: refundId(1) })
  await insert('payment_log', { change: 'success' })
})
afterEach(() => client.query('ROLLBACK'))

type Case = [constraint: string, name: string, attempt: () => Promise<unknown>]
const inserted = (constraint: string, table: string, ...rows: Fields[]): Case[] =>
  rows.map((row) => [constraint, `a row of ${table} with ${shown(row)}`, () => insert(table, row)])
const shown = (row: Fields) => JSON.stringify(row).slice(0, 70)
const run = (constraint: string, text: string, ...setUp: Array<() => Promise<unknown>>): Case => [
  constraint,
  text,
  async () => {
    for (const step of setUp) await step()
    await client.query(text)
  },
]
const other = () => insert('merchants')
const twice =
  (table: string, over: Fields = {}, again: Fields = {}) =>
  async () => {
    await insert(table, over)
    await insert(table, { ...over, ...again })
  }

const cases: Case[] = [
  ...inserted('merchants_pkey', 'merchants', { id: SEEDED_MERCHANT_ID }),
  ...inserted('merchants_email_check', 'merchants', { email: 'Other@x.example' }),
  ...inserted('merchants_email_key', 'merchants', { email: 'test@example.com' }),
  ...inserted('merchants_api_key_key', 'merchants', { api_key: 'key_test_abc123' }),
  ...inserted('merchant_accounts_pkey', 'merchant_accounts', { account: 'acc_merchant_456' }),
  ...inserted('merchant_accounts_merchant_id_fkey', 'merchant_accounts', { merchant_id: OTHER }),
  run('merchant_accounts_merchant_id_fkey', `DELETE FROM merchants WHERE id = '${OTHER}'`, other, () =>
    insert('merchant_accounts', { merchant_id: OTHER }),
  ),
  ['sessions_pkey', 'one token twice', twice('sessions')],
  ...inserted('sessions_expiry_check', 'sessions', { expires_at: new Date(0) }),
  ...inserted('sessions_merchant_id_fkey', 'sessions', { merchant_id: OTHER }),

  ...inserted('orders_pkey', 'orders', { id: orderId(1) }),
  ...inserted(
    'orders_id_check',
    'orders',
    ...[
      'order_',
      `order_${'a'.repeat(15)}`,
      `order_${'a'.repeat(17)}`,
      payId(1),
      `${orderId(5)}\n`,
      `order_${'é'.repeat(16)}`,
    ].map((id) => ({ id })),
  ),
  ...inserted('orders_amount_check', 'orders', { amount: 0 }, { amount: -1 }, { amount: 1_000_000_000_000 }),
  ...inserted('orders_status_check', 'orders', { status: 'failed' }, { status: 'PAID' }),
  ...inserted('orders_paid_check', 'orders', { status: 'paid' }),
  ...inserted(
    'orders_currency_check',
    'orders',
    ...['usd', 'US', 'U5D', '', 'ÄÖÜ', 'US\n'].map((currency) => ({ currency })),
  ),
  ...inserted('orders_notes_check', 'orders', ...['[]', 'null', '"{}"', '1'].map((notes) => ({ notes }))),
  ...inserted('orders_merchant_id_fkey', 'orders', { merchant_id: OTHER }),
  run('orders_merchant_id_fkey', `DELETE FROM merchants WHERE id = '${OTHER}'`, other, () =>
    insert('orders', { merchant_id: OTHER }),
  ),
  ...inserted('orders_claimed_by_fkey', 'orders', { claimed_by: payId(8) }),
  run('orders_claimed_by_fkey', `UPDATE orders SET claimed_by = '${payId(2)}' WHERE id = '${orderId(1)}'`),
  run('orders_claimed_by_fkey', `DELETE FROM payments WHERE id = '${payId(3)}'`, () =>
    client.query('UPDATE orders SET claimed_by = $2 WHERE id = $1', [orderId(1), payId(3)]),
  ),

  ...inserted('payments_pkey', 'payments', { id: payId(3) }),
  ...inserted(
    'payments_id_check',
    'payments',
    { id: 'pay_1' },
    { id: orderId(1) },
    { id: `pay_${'-'.repeat(16)}` },
  ),
  ...inserted('payments_status_check', 'payments', { status: 'refunded' }, { status: 'processing' }),
  ...inserted('payments_method_check', 'payments', { method: 'cash', vpa: null }),
  ...inserted('payments_created_check', 'payments', { status: 'created' }, { ...card, status: 'created' }),
  ...inserted('payments_vpa_check', 'payments', { vpa: null }, { ...card, vpa: 'a@b' }),
  ...inserted(
    'payments_card_check',
    'payments',
    { ...card, card_last4: null },
    { ...card, card_network: null },
    { card_network: 'visa', card_last4: '1111' },
  ),
  ...inserted('payments_card_network_check', 'payments', { ...card, card_network: 'diners' }),
  ...inserted(
    'payments_card_last4_check',
    'payments',
    { ...card, card_last4: '111' },
    { ...card, card_last4: '11a1' },
  ),
  ...inserted(
    'payments_error_check',
    'payments',
    { status: 'failed', ...settled },
    { ...success, error_code: 'X' },
    { error_code: 'X' },
  ),
  ...inserted('payments_captured_check', 'payments', { captured: true }, { ...failed, captured: true }),
  ...inserted('payments_bank_check', 'payments', response),
  ...inserted('payments_settled_check', 'payments', { status: 'success' }, settled),
  ...inserted('payments_one_success', 'payments', { order_id: orderId(2), ...success }),
  run(
    'payments_one_success',
    `UPDATE payments SET status = 'success', settled_at = now() WHERE order_id = '${orderId(1)}'`,
    () => insert('payments'),
  ),
  ...inserted(
    'payments_order_fkey',
    'payments',
    { order_id: orderId(8) },
    { amount: 999 },
    { currency: 'USD' },
  ),
  [
    'payments_order_fkey',
    'a payment of another merchant than its order',
    async () => {
      await other()
      await insert('payments', { merchant_id: OTHER })
    },
  ],
  run('payments_order_fkey', `UPDATE orders SET amount = 999 WHERE id = '${orderId(1)}'`),
  run('payments_order_fkey', `DELETE FROM orders WHERE id = '${orderId(1)}'`),

  ...inserted('refunds_pkey', 'refunds', { id: refundId(1) }),
  ...inserted('refunds_id_check', 'refunds', { id: 'rfnd_1' }, { id: payId(1) }),
  ...inserted(
    'refunds_amount_check',
    'refunds',
    { amount: 0 },
    { amount: -5 },
    { amount: 1_000_000_000_000 },
  ),
  ...inserted('refunds_status_check', 'refunds', { status: 'success' }),
  ...inserted(
    'refunds_error_check',
    'refunds',
    { status: 'failed', ...settled },
    { error_code: 'X' },
    { status: 'processed', processed_at: now, ...settled, error_code: 'X' },
  ),
  ...inserted(
    'refunds_processed_check',
    'refunds',
    { status: 'processed', ...settled },
    { processed_at: now },
  ),
  ...inserted('refunds_bank_check', 'refunds', response),
  ...inserted('refunds_settled_check', 'refunds', settled, { status: 'processed', processed_at: now }),
  ...inserted('refunds_payment_fkey', 'refunds', {
    payment_id: payId(8),
    status: 'failed',
    error_code: 'X',
    ...settled,
  }),
  [
    'refunds_payment_fkey',
    'a refund of another merchant than its payment',
    async () => {
      await other()
      await insert('refunds', { merchant_id: OTHER })
    },
  ],
  ['payments_refunded_check', 'a refund above what is left', () => insert('refunds', { amount: 901 })],
  [
    'payments_refunded_check',
    'a refund of a pending payment',
    () => insert('refunds', { payment_id: payId(3) }),
  ],

  run(
    'payment_log_pkey',
    `INSERT INTO payment_log (id, payment_id, change, amount, cause, request_id)
     SELECT max(id), '${payId(3)}', 'created', 1, 'c', 'r' FROM payment_log`,
  ),
  ...inserted('payment_log_change_check', 'payment_log', { change: 'paid' }),
  ...inserted(
    'payment_log_refund_check',
    'payment_log',
    { change: 'refund_processed' },
    { refund_id: refundId(1) },
  ),
  ...inserted('payment_log_once', 'payment_log', { change: 'success' }),
  ...inserted('payment_log_once_for_refund', 'payment_log', {
    change: 'refund_created',
    refund_id: refundId(1),
  }),
  ...inserted('payment_log_payment_id_fkey', 'payment_log', { payment_id: payId(8) }),
  run('payment_log_payment_id_fkey', `DELETE FROM payments WHERE id = '${payId(3)}'`, () =>
    insert('payment_log', { payment_id: payId(3) }),
  ),
  ...inserted('payment_log_refund_id_fkey', 'payment_log', {
    change: 'refund_failed',
    refund_id: refundId(8),
  }),
  run('payment_log_refund_id_fkey', `DELETE FROM refunds WHERE id = '${refundId(1)}'`),

  ['idempotency_keys_pkey', 'one key of a merchant twice', twice('idempotency_keys')],
  ['idempotency_keys_pkey', 'one key of an order twice', twice('idempotency_keys', { scope: orderId(1) })],
  ...inserted(
    'idempotency_keys_status_check',
    'idempotency_keys',
    { status: 199 },
    { status: 400 },
    { status: 503 },
  ),
  ...inserted('idempotency_keys_merchant_id_fkey', 'idempotency_keys', { merchant_id: OTHER }),
]

test.each(cases)('%s refuses %s', async (constraint, _name, attempt) => {
  await expect(attempt()).rejects.toMatchObject({ constraint })
})

/** No statement can violate these alone: another constraint refuses it first. */
const impliedByOthers = [
  'payments_amount_check', // the order's amount is within the same bounds
  'payments_merchant_id_fkey', // of the order's merchant
  'refunds_merchant_id_fkey', // of the payment's merchant
  'orders_terms', // holds the primary key
  'payments_owner', // holds the primary key
  'payments_of_order', // holds the primary key
]

test('each constraint and unique index of the gateway’s tables has a case here', async () => {
  const { rows } = await client.query<{ name: string }>(
    `SELECT conname AS name FROM pg_constraint WHERE conrelid::regclass::text = ANY ($1) AND contype IN ('c', 'f', 'p', 'u', 'x')
     UNION SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid::regclass::text = ANY ($1) AND indisunique`,
    [tables],
  )
  const tried = new Set([...cases.map(([constraint]) => constraint), ...impliedByOthers])
  expect([...tried].sort()).toEqual(rows.map(({ name }) => name).sort())
})

test('valid rows and edge cases are accepted', async () => {
  for (const table of tables) await insert(table)
  await insert('orders', {
    id: orderId(5),
    amount: 999_999_999_999,
    currency: 'JPY',
    receipt: 'x'.repeat(255),
  })
  await insert('payments', { id: payId(5), ...card })
  await insert('payments', { id: payId(6), ...failed })
  await insert('payments', { id: payId(7), method: 'gateway', vpa: null, status: 'created' })
  await insert('refunds', { id: refundId(5), amount: 800 }) // with 100 + 100: all of it
  await insert('refunds', { id: refundId(6), amount: 5000, ...failed })
  await insert('idempotency_keys', { scope: orderId(1) })
  await insert('idempotency_keys', { merchant_id: OTHER })
})

test('sessions and keys are deleted with their merchant', async () => {
  await other()
  await insert('sessions', { merchant_id: OTHER })
  await insert('idempotency_keys', { merchant_id: OTHER })
  await client.query('DELETE FROM merchants WHERE id = $1', [OTHER])
  const { rows } = await client.query(
    'SELECT 1 FROM sessions WHERE merchant_id = $1 UNION ALL SELECT 1 FROM idempotency_keys WHERE merchant_id = $1',
    [OTHER],
  )
  expect(rows).toEqual([])
})
