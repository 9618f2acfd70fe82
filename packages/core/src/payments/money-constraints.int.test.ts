// What the database itself refuses to do to money, whoever writes: to move what is settled, to let an order and its payment disagree, to say something else of refunds than the refunds do.
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
/** What a commit would look at. */
const COMMIT = 'SET CONSTRAINTS ALL IMMEDIATE'

async function run(...statements: string[]): Promise<void> {
  for (const statement of statements) await client.query(statement)
}

/** Order 1 is open, with the pending payment 3; orders 2 and 4 are paid by payments 2 and 4; of 2, 100 are pending as refund 1. */
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

describe('what is settled', () => {
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

  test('may be written otherwise: nothing else hangs on the status', () =>
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
  ])('stays as it was: %s', async (statements, message) => {
    await expect(run(statements)).rejects.toMatchObject({ code: '23000', message })
  })
})

describe('a capture', () => {
  const capture = (payment: number) => set('payments', payId(payment), 'captured = true')

  test('comes before refunds, and they come after it', () => run(capture(4), insertRefund(2, 4, 1000)))

  test.each([
    ['pending', []],
    ['processed', [set('refunds', refundId(1), refundFields.processed)]],
  ])('is refused while something is refunded: %s', async (_status, statements) => {
    await run(...statements)
    await expect(run(capture(2))).rejects.toMatchObject({ constraint: 'captured_whole' })
  })

  test('is possible again when the refund has failed', () =>
    run(set('refunds', refundId(1), refundFields.failed), capture(2)))
})

describe('an order and its payment agree by the commit', () => {
  test.each([
    ['the order first', [payOrder(1, 3), set('payments', payId(3), paymentFields.success)]],
    ['the payment first', [set('payments', payId(3), paymentFields.success), payOrder(1, 3)]],
    ['a payment that failed', [set('payments', payId(3), paymentFields.failed)]],
    ['a claim alone', [set('orders', orderId(1), `claimed_by = '${payId(3)}'`)]],
    [
      'a successful payment and the order it pays, new',
      [insertOrder(5), insertPayment(5, 5, 'success'), payOrder(5, 5)],
    ],
  ])('as they do: %s', (_what, statements) => run(...statements, COMMIT))

  test.each([
    ['paid_by_its_payment', 'an order paid by a pending payment', [payOrder(1, 3)]],
    [
      'paid_by_its_payment',
      'an order paid by a failed one',
      [set('payments', payId(3), paymentFields.failed), payOrder(1, 3)],
    ],
    [
      'paid_by_its_payment',
      'an order paid by another than the successful one',
      [insertPayment(5, 1), payOrder(1, 5), set('payments', payId(3), paymentFields.success)],
    ],
    [
      'paid_by_its_payment',
      'an order that claims what is paid already',
      [set('orders', orderId(1), `claimed_by = '${payId(3)}'`), set('orders', orderId(1), `status = 'paid'`)],
    ],
    [
      'success_pays_its_order',
      'a success of an open order',
      [set('payments', payId(3), paymentFields.success)],
    ],
    [
      'success_pays_its_order',
      'a success of an order that it holds only',
      [
        set('orders', orderId(1), `claimed_by = '${payId(3)}'`),
        set('payments', payId(3), paymentFields.success),
      ],
    ],
    ['success_pays_its_order', 'a new success', [insertPayment(5, 1, 'success')]],
  ])('%s refuses %s', async (constraint, _what, statements) => {
    await run(...statements)
    await expect(run(COMMIT)).rejects.toMatchObject({ code: '23000', constraint })
  })
})

describe('what is refunded', () => {
  test.each([
    ['nothing', [set('payments', payId(2), 'refunded_amount = 0'), insertRefund(2, 2, 1000)]],
    ['less', [set('payments', payId(2), 'refunded_amount = refunded_amount - 1')]],
    ['more', [set('payments', payId(2), 'refunded_amount = 1000')]],
    ['something where nothing is', [set('payments', payId(4), 'refunded_amount = 1')]],
    [
      'nothing, so that it can be captured',
      [set('payments', payId(2), 'captured = true, refunded_amount = 0')],
    ],
    ['something in a new payment', [insertOrder(5), insertPayment(5, 5, 'success', '1, false')]],
  ])('is not written by hand: %s', async (_what, statements) => {
    await expect(run(...statements)).rejects.toMatchObject({
      code: '23000',
      constraint: expect.stringMatching(/^refunded_(is|stays)_counted$/),
    })
  })

  test('may be written as it is', () => run(set('payments', payId(2), 'refunded_amount = 100')))

  test.each([
    ['above what is left', insertRefund(2, 2, 901)],
    ['of a pending payment', insertRefund(2, 3, 100)],
  ])('is within a successful payment: no refund %s', async (_what, statement) => {
    await expect(run(statement)).rejects.toMatchObject({ constraint: 'payments_refunded_check' })
  })

  test('moves the payment’s updated_at by at least a millisecond, and nothing else does', async () => {
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

test('what other programs write needs no request', async () => {
  await run(
    `INSERT INTO webhook_logs (merchant_id, event, payload) VALUES ('${SEEDED_MERCHANT_ID}', 'webhook.test', '{}')`,
  )
  const { rows } = await client.query(`
    SELECT request_id FROM payments UNION SELECT request_id FROM refunds UNION SELECT request_id FROM webhook_logs`)
  expect(rows).toEqual([{ request_id: '' }])
})
