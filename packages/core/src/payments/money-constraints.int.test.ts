// Triggers for money: settled states stay, an order and its payment agree, and refund sums are counted.
import { createDatabase, SEEDED_MERCHANT_ID, type TestDatabase } from '@sluice/testing'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'

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

const AMOUNT = 1000
const suffix = (n: number) => String(n).padStart(16, '0')
const orderId = (n: number) => `order_${suffix(n)}`
const payId = (n: number) => `pay_${suffix(n)}`
const refundId = (n: number) => `rfnd_${suffix(n)}`

const insertOrder = (n: number) =>
  `INSERT INTO orders (id, merchant_id, amount) VALUES ('${orderId(n)}', '${SEEDED_MERCHANT_ID}', ${AMOUNT})`
const insertPayment = (n: number, order: number, status = 'pending', over = '0, false') =>
  `INSERT INTO payments (id, order_id, merchant_id, amount, method, vpa, status, settled_at, refunded_amount, captured)
   VALUES ('${payId(n)}', '${orderId(order)}', '${SEEDED_MERCHANT_ID}', ${AMOUNT}, 'upi', 'a@b', '${status}',
           ${status === 'pending' ? 'NULL' : 'now()'}, ${over})`
const insertRefund = (n: number, payment: number, amount: number) =>
  `INSERT INTO refunds (id, payment_id, merchant_id, amount)
   VALUES ('${refundId(n)}', '${payId(payment)}', '${SEEDED_MERCHANT_ID}', ${amount})`
const payOrder = (order: number, payment: number) =>
  `UPDATE orders SET status = 'paid', claimed_by = '${payId(payment)}' WHERE id = '${orderId(order)}'`
const set = (table: string, id: string, fields: string) => `UPDATE ${table} SET ${fields} WHERE id = '${id}'`
const paymentFields = {
  pending: `status = 'pending', settled_at = NULL, error_code = NULL`,
  success: `status = 'success', settled_at = now(), error_code = NULL`,
  failed: `status = 'failed', settled_at = now(), error_code = 'X'`,
}
const refundFields = {
  pending: `status = 'pending', settled_at = NULL, error_code = NULL, processed_at = NULL`,
  processed: `status = 'processed', settled_at = now(), error_code = NULL, processed_at = now()`,
  failed: `status = 'failed', settled_at = now(), error_code = 'X', processed_at = NULL`,
}
/** Runs the deferred checks of a commit. */
const COMMIT = 'SET CONSTRAINTS ALL IMMEDIATE'

async function run(...statements: string[]): Promise<void> {
  for (const statement of statements) await client.query(statement)
}

/** Order 1 is open, with the pending payment 3. Payments 2 and 4 have paid their orders. Payment 2 has the pending refund 1 of 100. */
beforeEach(() =>
  run(
    'BEGIN',
    ...[insertOrder(1), insertPayment(3, 1)],
    ...[insertOrder(2), insertPayment(2, 2, 'success'), payOrder(2, 2), insertRefund(1, 2, 100)],
    ...[insertOrder(4), insertPayment(4, 4, 'success'), payOrder(4, 4)],
    `INSERT INTO payment_log (payment_id, change, amount, cause, request_id) VALUES ('${payId(2)}', 'success', 1000, 'c', 'r')`,
  ),
)
afterEach(() => client.query('ROLLBACK'))

describe('a settled payment, refund or order', () => {
  test.each<[keyof typeof paymentFields, keyof typeof paymentFields]>([
    ['success', 'pending'],
    ['success', 'failed'],
    ['failed', 'pending'],
    ['failed', 'success'],
  ])('a payment that is %s does not become %s', async (from, to) => {
    await run(set('payments', payId(3), paymentFields[from]))
    await expect(run(set('payments', payId(3), paymentFields[to]))).rejects.toMatchObject({
      code: '23000',
      message: `payments ${payId(3)} is ${from} for good`,
    })
  })

  test.each<[keyof typeof refundFields, keyof typeof refundFields]>([
    ['processed', 'pending'],
    ['processed', 'failed'],
    ['failed', 'pending'],
    ['failed', 'processed'],
  ])('a refund that is %s does not become %s', async (from, to) => {
    await run(set('refunds', refundId(1), refundFields[from]))
    await expect(run(set('refunds', refundId(1), refundFields[to]))).rejects.toMatchObject({
      code: '23000',
      message: `refunds ${refundId(1)} is ${from} for good`,
    })
  })

  test('accepts updates that do not change its state', () =>
    run(
      set('payments', payId(2), `${paymentFields.success}, bank_scenario = 'success'`),
      set('orders', orderId(2), `status = 'paid', claimed_by = '${payId(2)}', updated_at = now()`),
      set('refunds', refundId(1), `amount = amount, payment_id = payment_id`),
      COMMIT,
    ))

  test.each([
    [`${set('orders', orderId(2), `status = 'created'`)}`, `orders ${orderId(2)} is paid for good`],
    [set('orders', orderId(2), 'claimed_by = NULL'), `orders ${orderId(2)} is paid for good, by its payment`],
    [
      `${insertPayment(5, 2)}; ${set('orders', orderId(2), `claimed_by = '${payId(5)}'`)}`,
      `orders ${orderId(2)} is paid for good, by its payment`,
    ],
    [
      `${set('payments', payId(4), 'captured = true')}; ${set('payments', payId(4), 'captured = false')}`,
      `payments ${payId(4)} is captured for good`,
    ],
    [set('refunds', refundId(1), 'amount = 99'), `refunds ${refundId(1)} keeps its amount and its payment`],
    [
      `${set('refunds', refundId(1), refundFields.failed)}; ${set('refunds', refundId(1), 'amount = 99')}`,
      `refunds ${refundId(1)} keeps its amount and its payment`,
    ],
    [
      set('refunds', refundId(1), `payment_id = '${payId(4)}'`),
      `refunds ${refundId(1)} keeps its amount and its payment`,
    ],
    [`UPDATE payment_log SET cause = 'another'`, 'payment_log is append-only'],
    ['UPDATE payment_log SET amount = amount', 'payment_log is append-only'],
    ['DELETE FROM payment_log', 'payment_log is append-only'],
    ['TRUNCATE payment_log', 'payment_log is append-only'],
  ])('refuses a change of its state: %s', async (statements, message) => {
    await expect(run(statements)).rejects.toMatchObject({ code: '23000', message })
  })
})

describe('a capture', () => {
  const capture = (payment: number) => set('payments', payId(payment), 'captured = true')

  test('is possible before refunds, and refunds are possible after it', () =>
    run(capture(4), insertRefund(2, 4, 1000)))

  test.each([
    ['pending', []],
    ['processed', [set('refunds', refundId(1), refundFields.processed)]],
  ])('is refused with a refund that is %s', async (_status, statements) => {
    await run(...statements)
    await expect(run(capture(2))).rejects.toMatchObject({ constraint: 'captured_whole' })
  })

  test('is possible when the only refund has failed', () =>
    run(set('refunds', refundId(1), refundFields.failed), capture(2)))
})

describe('an order and its payment agree at the commit', () => {
  test.each([
    ['the order first', [payOrder(1, 3), set('payments', payId(3), paymentFields.success)]],
    ['the payment first', [set('payments', payId(3), paymentFields.success), payOrder(1, 3)]],
    ['a payment that failed', [set('payments', payId(3), paymentFields.failed)]],
    ['only a claim', [set('orders', orderId(1), `claimed_by = '${payId(3)}'`)]],
    [
      'a new successful payment with its new order',
      [insertOrder(5), insertPayment(5, 5, 'success'), payOrder(5, 5)],
    ],
  ])('the commit accepts %s', (_name, statements) => run(...statements, COMMIT))

  test.each([
    ['paid_by_its_payment', 'an order paid by a pending payment', [payOrder(1, 3)]],
    [
      'paid_by_its_payment',
      'an order paid by a failed payment',
      [set('payments', payId(3), paymentFields.failed), payOrder(1, 3)],
    ],
    [
      'paid_by_its_payment',
      'an order paid by another payment than the successful one',
      [insertPayment(5, 1), payOrder(1, 5), set('payments', payId(3), paymentFields.success)],
    ],
    [
      'paid_by_its_payment',
      'a paid order with a pending claimant',
      [set('orders', orderId(1), `claimed_by = '${payId(3)}'`), set('orders', orderId(1), `status = 'paid'`)],
    ],
    [
      'success_pays_its_order',
      'a success of an open order',
      [set('payments', payId(3), paymentFields.success)],
    ],
    [
      'success_pays_its_order',
      'a success of an order that is only claimed',
      [
        set('orders', orderId(1), `claimed_by = '${payId(3)}'`),
        set('payments', payId(3), paymentFields.success),
      ],
    ],
    ['success_pays_its_order', 'a new success', [insertPayment(5, 1, 'success')]],
  ])('%s refuses %s', async (constraint, _name, statements) => {
    await run(...statements)
    await expect(run(COMMIT)).rejects.toMatchObject({ code: '23000', constraint })
  })
})

describe('the refunded amount', () => {
  test.each([
    ['zero', [set('payments', payId(2), 'refunded_amount = 0'), insertRefund(2, 2, 1000)]],
    ['a lower amount', [set('payments', payId(2), 'refunded_amount = refunded_amount - 1')]],
    ['a higher amount', [set('payments', payId(2), 'refunded_amount = 1000')]],
    ['an amount without refunds', [set('payments', payId(4), 'refunded_amount = 1')]],
    ['zero together with a capture', [set('payments', payId(2), 'captured = true, refunded_amount = 0')]],
    ['an amount in a new payment', [insertOrder(5), insertPayment(5, 5, 'success', '1, false')]],
  ])('cannot be set to another value: %s', async (_name, statements) => {
    await expect(run(...statements)).rejects.toMatchObject({
      code: '23000',
      constraint: expect.stringMatching(/^refunded_(is|stays)_counted$/),
    })
  })

  test('may be set to its own value', () => run(set('payments', payId(2), 'refunded_amount = 100')))

  test.each([
    ['above the available amount', insertRefund(2, 2, 901)],
    ['of a pending payment', insertRefund(2, 3, 100)],
  ])('stays within a successful payment: no refund %s', async (_name, statement) => {
    await expect(run(statement)).rejects.toMatchObject({ constraint: 'payments_refunded_check' })
  })

  test('moves the payment’s updated_at by at least a millisecond when it changes, and only then', async () => {
    const updatedAt = async () =>
      (
        await client.query<{ at: Date }>('SELECT updated_at AS at FROM payments WHERE id = $1', [payId(2)])
      ).rows[0]!.at.toISOString()
    await run(set('payments', payId(2), `updated_at = '2099-01-01T00:00:00Z'`))
    await run(set('refunds', refundId(1), refundFields.processed))
    expect(await updatedAt()).toBe('2099-01-01T00:00:00.000Z')
    await run(insertRefund(5, 2, 100))
    expect(await updatedAt()).toBe('2099-01-01T00:00:00.001Z')
    await run(set('refunds', refundId(5), refundFields.failed))
    expect(await updatedAt()).toBe('2099-01-01T00:00:00.002Z')
  })
})

test('rows of other programs need no request id', async () => {
  await run(
    `INSERT INTO webhook_logs (merchant_id, event, payload) VALUES ('${SEEDED_MERCHANT_ID}', 'webhook.test', '{}')`,
  )
  const { rows } = await client.query(`
    SELECT request_id FROM payments UNION SELECT request_id FROM refunds UNION SELECT request_id FROM webhook_logs`)
  expect(rows).toEqual([{ request_id: '' }])
})
