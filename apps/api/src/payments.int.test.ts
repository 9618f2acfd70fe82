// Payments from the request to the settlement, for merchants and payers, with their timeline.
import { randomUUID } from 'node:crypto'
import * as contracts from '@sluice/contracts'
import {
  bankScenarios,
  createClient,
  createPayment,
  createPublicPayment,
  getOrder,
  getPaymentTimeline,
  getPublicOrder,
  getPublicPayment,
  listPayments,
  Payment,
  PublicPayment,
  TimelineEntry,
  UNPAID_PAYMENTS_MAX,
} from '@sluice/contracts'
import {
  addMerchant,
  expectStatus,
  goodCard,
  openShop,
  type Shop,
  seededKeys,
  startSystem,
  type TestSystem,
  untilKnown,
  waitFor,
} from '@sluice/testing'
import Value from 'typebox/value'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

let system: TestSystem
let shop: Shop
/** Its bank takes 30 s, so the payment is created first and checked last. */
let slowPaymentId: string
beforeAll(async () => {
  system = await startSystem({
    postgresUrl: inject('postgresUrl'),
    env: { UPI_SUCCESS_RATE: '1', CARD_SUCCESS_RATE: '1' },
  })
  shop = openShop(system.call)
  slowPaymentId = (await shop.pay((await shop.order()).id, 'timeout@test')).id
})
afterAll(() => system?.stop())

const headers = seededKeys
/** Repeats a request with its key after 503 ("unknown, send again") and 409 ("still running"). */
function payPublicly(orderId: string, vpa = 'success@test', api = system.api.url) {
  const headers = { 'idempotency-key': randomUUID() }
  const input = { headers, body: { order_id: orderId, method: 'upi' as const, vpa } }
  return untilKnown(() => createClient(api)(createPublicPayment, input))
}
const readOrder = async (id: string) =>
  expectStatus(await untilKnown(() => system.call(getOrder, { headers, params: { order_id: id } })), 200)
const timelineOf = async (id: string) =>
  expectStatus(
    await untilKnown(() => system.call(getPaymentTimeline, { headers, params: { payment_id: id } })),
    200,
  )

const refusal = (code: string, error: object = {}) => ({
  error: { code, description: expect.any(String), request_id: expect.any(String), ...error },
})

describe('the end of a payment', () => {
  test('success: pending at first, then success, and its order is paid', async () => {
    const order = await shop.order(12_345, { currency: 'EUR' })
    const created = await shop.pay(order.id, 'user@paytm')
    expect(created).toMatchObject({ status: 'pending', amount: 12_345, currency: 'EUR' })
    const settled = await shop.settled(created.id)
    expect(settled).toEqual({ ...created, status: 'success', updated_at: settled.updated_at })
    expect(Date.parse(settled.updated_at)).toBeGreaterThan(Date.parse(created.updated_at))
    expect([...Value.Errors(Payment, settled)]).toEqual([])
    const paid = await readOrder(order.id)
    expect(paid).toEqual({ ...order, status: 'paid', updated_at: paid.updated_at })
    expect(Date.parse(paid.updated_at)).toBeGreaterThan(Date.parse(order.updated_at))
    const publicOrder = await system.call(getPublicOrder, { params: { order_id: order.id } })
    expect(publicOrder.body).toMatchObject({ status: 'paid' })
  })

  const quickScenarios = bankScenarios.filter(({ delayMs }) => delayMs === undefined)
  const expectedCodes: Record<string, string> = {
    '4000000000000002': 'DECLINED',
    '4000000000009995': 'INSUFFICIENT_FUNDS',
    '4000000000000069': 'EXPIRED',
    '4000000000000127': 'INCORRECT_CVV',
    '4000000000000119': 'PROCESSING_ERROR',
    'failure@razorpay': 'PAYMENT_FAILED',
    'failure@test': 'PAYMENT_FAILED',
  }
  test.each(quickScenarios)('$value is $name', async ({ method, value, charge, errorDescription }) => {
    const { id: orderId } = await shop.order()
    const { id } = await (method === 'card' ? shop.payByCard(orderId, value) : shop.pay(orderId, value))
    const payment = await shop.settled(id)
    const failed = value in expectedCodes
    expect(charge).toBe(failed ? 'failed' : 'success')
    expect(payment).toMatchObject({
      status: charge,
      error_code: failed ? expectedCodes[value] : null,
      error_description: failed ? errorDescription : null,
    })
    if (failed) expect(payment.error_description).toMatch(/\w+/)
    expect((await readOrder(orderId)).status).toBe(failed ? 'created' : 'paid')
    const seen = await system.call(getPublicPayment, { params: { payment_id: id } })
    expect(seen.body).toMatchObject({ status: charge, error_code: payment.error_code })
  })

  test('the magic values are a published list that stays the same', () => {
    const values = bankScenarios.map(({ value }) => value)
    const card = [
      '4000000000000002',
      '4000000000009995',
      '4000000000000069',
      '4000000000000127',
      '4000000000000119',
      '4111111111111111',
    ]
    const upi = [
      'success@razorpay',
      'failure@razorpay',
      'success@test',
      'failure@test',
      'timeout@test',
      'refundfail@test',
    ]
    expect(values.toSorted()).toEqual([...card, ...upi].toSorted())
  })

  test('magic cards are recognised by their digits, with any spaces and dashes', async () => {
    const { id } = await shop.payByCard((await shop.order()).id, '4000-0000 0000-0002')
    expect(await shop.settled(id)).toMatchObject({ error_code: 'DECLINED', card_last4: '0002' })
  })

  test('a failed payment leaves the order payable', async () => {
    const { id: orderId } = await shop.order()
    for (const vpa of ['failure@test', 'failure@razorpay']) {
      expect((await shop.settled((await shop.pay(orderId, vpa)).id)).status).toBe('failed')
    }
    expect((await readOrder(orderId)).status).toBe('created')
    expect((await shop.settled((await shop.pay(orderId)).id)).status).toBe('success')
    expect((await readOrder(orderId)).status).toBe('paid')
  })

  test('a paid order cannot be paid again: 400 on both routes, and no payment is created', async () => {
    const { order_id: orderId } = await shop.paid()
    const body = { order_id: orderId, method: 'upi' as const, vpa: 'success@test' }
    const expected = {
      status: 400,
      body: refusal('BAD_REQUEST_ERROR', {
        field: 'order_id',
        description: expect.stringMatching(/already paid/),
      }),
    }
    expect(await system.call(createPayment, { headers, body })).toMatchObject(expected)
    expect(await payPublicly(orderId)).toMatchObject(expected)
    const all = await system.call(listPayments, { headers, query: { order_id: orderId } })
    expect(all.body).toMatchObject({ total: 1 })
  })

  test('of concurrent payments of one order one succeeds, and the others never ask the bank', async () => {
    const { id: orderId } = await shop.order()
    // The order is locked until all payments exist.
    const holder = await system.database.session()
    await holder.query('BEGIN')
    await holder.query(`SELECT 1 FROM orders WHERE id = $1 FOR NO KEY UPDATE`, [orderId])
    const payments = await Promise.all(Array.from({ length: 8 }, () => shop.pay(orderId)))
    await holder.query('COMMIT')
    await holder.end()
    const ended = await Promise.all(payments.map(({ id }) => shop.settled(id)))
    expect(ended.filter(({ status }) => status === 'success')).toHaveLength(1)
    const others = ended.filter(({ status }) => status === 'failed')
    expect(others).toHaveLength(7)
    for (const { id, error_code, error_description } of others) {
      expect([error_code, error_description]).toEqual(['ORDER_ALREADY_PAID', expect.stringMatching(/paid/)])
      expect((await timelineOf(id)).data.map(({ change }) => change)).toEqual(['created', 'failed'])
    }
  })
})

describe('payers', () => {
  test('see exactly what the checkout page polls, and need no keys', async () => {
    const { id: orderId } = await shop.order()
    const created = expectStatus(await payPublicly(orderId, 'failure@test'), 201)
    expect(created).toEqual({
      id: expect.stringMatching(/^pay_[A-Za-z0-9]{16}$/),
      order_id: orderId,
      amount: 50_000,
      currency: 'INR',
      method: 'upi',
      status: 'pending',
      error_code: null,
      error_description: null,
    })
    expect([...Value.Errors(PublicPayment, created)]).toEqual([])
    await shop.settled(created.id)
    const seen = await system.call(getPublicPayment, { params: { payment_id: created.id } })
    expect(expectStatus(seen, 200)).toEqual({
      ...created,
      status: 'failed',
      error_code: 'PAYMENT_FAILED',
      error_description: "The payment was refused by the payer's bank",
    })
  })

  test('may pay by card', async () => {
    const body = { order_id: (await shop.order()).id, method: 'card' as const, card: goodCard }
    const keyed = { headers: { 'idempotency-key': randomUUID() }, body }
    const { id } = expectStatus(await untilKnown(() => system.call(createPublicPayment, keyed)), 201)
    expect(await shop.settled(id)).toMatchObject({
      status: 'success',
      card_network: 'visa',
      card_last4: '1111',
    })
  })

  test('of an inactive merchant get 404', async () => {
    const merchant = await addMerchant(system.database)
    const its = openShop(system.call, merchant.keys)
    const order = await its.order()
    const payment = await its.pay(order.id)
    await its.settled(payment.id)
    await system.database.query('UPDATE merchants SET is_active = false WHERE id = $1', [merchant.id])
    expect(await payPublicly(order.id)).toMatchObject({
      status: 404,
      body: refusal('NOT_FOUND_ERROR', { description: 'Order not found' }),
    })
    expect(await system.call(getPublicPayment, { params: { payment_id: payment.id } })).toMatchObject({
      status: 404,
      body: refusal('NOT_FOUND_ERROR', { description: 'Payment not found' }),
    })
  })

  test(`have ${UNPAID_PAYMENTS_MAX} failed or unsettled payments for an order at most, with concurrent requests`, async () => {
    const idle = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
    try {
      const its = openShop(idle.call)
      const { id: orderId } = await its.order()
      const apis = [idle.api.url, (await idle.startApi()).url]
      const responses = await Promise.all(
        Array.from({ length: 70 }, (_, n) => payPublicly(orderId, 'user@paytm', apis[n % 2])),
      )
      const refused = responses.filter(({ status }) => status === 400)
      expect(responses.filter(({ status }) => status === 201)).toHaveLength(50)
      expect(refused).toHaveLength(20)
      for (const { body } of refused) {
        expect(body).toMatchObject(
          refusal('BAD_REQUEST_ERROR', { field: 'order_id', description: expect.stringContaining('50') }),
        )
      }
      // Failed payments count too. Other orders and the merchant's own route do not.
      const failed = await idle.database.query(
        `UPDATE payments SET status = 'failed', error_code = 'PAYMENT_FAILED', error_description = 'Refused',
                settled_at = now() RETURNING id`,
      )
      expect(failed).toHaveLength(50)
      expect((await payPublicly(orderId, 'success@test', apis[0])).status).toBe(400)
      expect((await payPublicly((await its.order()).id, 'success@test', apis[0])).status).toBe(201)
      await idle.startWorker()
      const merchants = await its.pay(orderId)
      expect((await its.settled(merchants.id)).status).toBe('success')
    } finally {
      await idle.stop()
    }
  })
})

describe('the timeline', () => {
  test('has every change in order, with its cause and request', async () => {
    const { id } = await shop.paid(1000, 'refundfail@test')
    const refused = await shop.refundSettled((await shop.refund(id, 400)).id)
    const capture = { headers, params: { payment_id: id }, body: { amount: 1000 } }
    expectStatus(await system.call(contracts.capturePayment, capture), 200)
    await system.database.query(`UPDATE payments SET bank_scenario = NULL WHERE id = $1`, [id])
    const processed = await shop.refundSettled((await shop.refund(id, 1000)).id)
    const { data, ...page } = await timelineOf(id)
    expect(page).toEqual({ total: 8, limit: 100, offset: 0 })
    expect(data.map(({ change, amount, refund_id, cause }) => [change, amount, refund_id, cause])).toEqual([
      ['created', 1000, null, 'merchant'],
      ['bank_asked', 1000, null, 'worker'],
      ['success', 1000, null, 'bank'],
      ['refund_created', 400, refused.id, 'merchant'],
      ['refund_failed', 400, refused.id, 'bank'],
      ['captured', 1000, null, 'merchant'],
      ['refund_created', 1000, processed.id, 'merchant'],
      ['refund_processed', 1000, processed.id, 'bank'],
    ])
    for (const entry of data) expect([...Value.Errors(TimelineEntry, entry)]).toEqual([])
    expect(data.map(({ at }) => at)).toEqual(data.map(({ at }) => at).toSorted())
    // The bank's changes carry the id of the request that created the payment or refund.
    const requests = data.map(({ request_id }) => request_id)
    expect(requests.map((requestId) => requests.indexOf(requestId))).toEqual([0, 0, 0, 3, 3, 5, 6, 6])
    const paged = { headers, params: { payment_id: id }, query: { limit: 2, offset: 3 } }
    expect((await system.call(getPaymentTimeline, paged)).body).toMatchObject({
      data: data.slice(3, 5),
      total: 8,
    })
  })

  test('begins with the payer for a payer’s payment, and ends with the failure of a failed one', async () => {
    const { id } = expectStatus(await payPublicly((await shop.order()).id, 'failure@test'), 201)
    await shop.settled(id)
    const changes = (await timelineOf(id)).data.map(({ change, cause }) => [change, cause])
    expect(changes).toEqual([
      ['created', 'payer'],
      ['bank_asked', 'worker'],
      ['failed', 'bank'],
    ])
  })
})

test('timeout@test succeeds, after a long delay', async () => {
  const payment = await waitFor(
    'the bank',
    async () => {
      const found = await shop.readPayment(slowPaymentId)
      return found.status === 'pending' ? undefined : found
    },
    { timeoutMs: 45_000 },
  )
  expect(payment).toMatchObject({ status: 'success', error_code: null })
  expect(Date.parse(payment.updated_at) - Date.parse(payment.created_at)).toBeGreaterThanOrEqual(30_000)
})
