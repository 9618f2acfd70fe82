// Payments from the request to their end: pending, then what the bank says, the order paid once, and who may see and ask what.
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
  type PaymentsQuery,
  PublicPayment,
  TimelineEntry,
  UNPAID_PAYMENTS_MAX,
} from '@sluice/contracts'
import {
  addMerchant,
  expectStatus,
  openShop,
  type Shop,
  seededKeys,
  startSystem,
  type TestSystem,
  waitFor,
} from '@sluice/testing'
import Value from 'typebox/value'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

let system: TestSystem
let shop: Shop
/** Takes its bank 30 s, so it is made first and looked at last. */
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
const goodCard = {
  number: '4111111111111111',
  expiry_month: '12',
  expiry_year: '2099',
  cvv: '123',
  holder_name: 'John Doe',
}
const payByCard = async (orderId: string, number: string): Promise<Payment> => {
  const body = { order_id: orderId, method: 'card' as const, card: { ...goodCard, number } }
  return expectStatus(await system.call(createPayment, { headers, body }), 201)
}
/** As a careful payer does it: 503 means "unknown, send again", which the key makes safe; 409 that it still runs. */
function payPublicly(orderId: string, vpa = 'success@test', api = system.api.url) {
  const headers = { 'idempotency-key': randomUUID() }
  const input = { headers, body: { order_id: orderId, method: 'upi' as const, vpa } }
  return waitFor('an answer', async () => {
    const answer = await createClient(api)(createPublicPayment, input)
    return answer.status === 503 || answer.status === 409 ? undefined : answer
  })
}
const readOrder = async (id: string) =>
  expectStatus(await system.call(getOrder, { headers, params: { order_id: id } }), 200)
const timelineOf = async (id: string) =>
  expectStatus(await system.call(getPaymentTimeline, { headers, params: { payment_id: id } }), 200)

async function request(
  method: string,
  path: string,
  init: { headers?: Record<string, string>; body?: string } = {},
) {
  const response = await fetch(system.api.url + path, { method, ...init })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
}

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
    const { id } = await (method === 'card' ? payByCard(orderId, value) : shop.pay(orderId, value))
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

  test('the magic values of SPEC 5 are the table’s', () => {
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

  test('magic cards are known by their digits, however they are parted', async () => {
    const { id } = await payByCard((await shop.order()).id, '4000-0000 0000-0002')
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

  test('a paid order cannot be paid again: 400, on both routes, and nothing is made', async () => {
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

  test('of payments that race on one order one succeeds; the bank is not asked for the others', async () => {
    const { id: orderId } = await shop.order()
    // Until all of them are made the order is nobody's to pay.
    const holder = await system.database.session()
    await holder.query('BEGIN')
    await holder.query(`SELECT 1 FROM orders WHERE id = $1 FOR NO KEY UPDATE`, [orderId])
    const made = await Promise.all(Array.from({ length: 8 }, () => shop.pay(orderId)))
    await holder.query('COMMIT')
    await holder.end()
    const ended = await Promise.all(made.map(({ id }) => shop.settled(id)))
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

  test('may pay by card, too', async () => {
    const body = { order_id: (await shop.order()).id, method: 'card' as const, card: goodCard }
    const { id } = expectStatus(await system.call(createPublicPayment, { body }), 201)
    expect(await shop.settled(id)).toMatchObject({
      status: 'success',
      card_network: 'visa',
      card_last4: '1111',
    })
  })

  test('of an inactive merchant find nothing', async () => {
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

  test(`have ${UNPAID_PAYMENTS_MAX} payments for an order that are unsettled or failed, however many ask at once`, async () => {
    const idle = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
    try {
      const its = openShop(idle.call)
      const { id: orderId } = await its.order()
      const apis = [idle.api.url, (await idle.startApi()).url]
      const answers = await Promise.all(
        Array.from({ length: 70 }, (_, n) => payPublicly(orderId, 'user@paytm', apis[n % 2])),
      )
      const refused = answers.filter(({ status }) => status === 400)
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(50)
      expect(refused).toHaveLength(20)
      for (const { body } of refused) {
        expect(body).toMatchObject(
          refusal('BAD_REQUEST_ERROR', { field: 'order_id', description: expect.stringContaining('50') }),
        )
      }
      // Failed ones count as well, and other orders and the merchant's own route do not.
      await idle.startWorker()
      await idle.database.query(`UPDATE payments SET bank_scenario = 'failure'`)
      await waitFor('them to fail', async () => {
        const { body } = await idle.call(listPayments, {
          headers,
          query: { order_id: orderId, status: 'failed' },
        })
        return 'total' in body && body.total === 50
      })
      expect((await payPublicly(orderId, 'success@test', apis[0])).status).toBe(400)
      expect((await payPublicly((await its.order()).id, 'success@test', apis[0])).status).toBe(201)
      const merchants = await its.pay(orderId)
      expect((await its.settled(merchants.id)).status).toBe('success')
    } finally {
      await idle.stop()
    }
  })
})

describe('the list', () => {
  let keys: Record<string, string>
  let ids: Record<'paid' | 'failed' | 'card' | 'odd' | 'plain', string>
  let orderIds: string[]
  beforeAll(async () => {
    const merchant = await addMerchant(system.database)
    keys = merchant.keys
    const its = openShop(system.call, merchant.keys)
    const orders = await Promise.all(Array.from({ length: 5 }, () => its.order()))
    orderIds = orders.map(({ id }) => id)
    const body = {
      order_id: orderIds[2]!,
      method: 'card' as const,
      card: { ...goodCard, number: '4000000000000069' },
    }
    const card = expectStatus(await system.call(createPayment, { headers: merchant.keys, body }), 201)
    ids = {
      paid: (await its.pay(orderIds[0]!, 'Anna.K@okbank')).id,
      failed: (await its.pay(orderIds[1]!, 'failure@test')).id,
      card: card.id,
      odd: (await its.pay(orderIds[3]!, 'user_1@paytm')).id,
      plain: (await its.pay(orderIds[4]!, 'userX1@paytm')).id,
    }
    await Promise.all(Object.values(ids).map((id) => its.settled(id)))
    const times = {
      paid: '2026-01-10T00:00:00Z',
      failed: '2026-01-10T23:59:59.999Z',
      card: '2026-01-11T00:00:00Z',
      odd: '2026-01-12T12:00:00Z',
      plain: '2026-01-12T12:00:00Z',
    }
    for (const [name, at] of Object.entries(times)) {
      await system.database.query('UPDATE payments SET created_at = $2 WHERE id = $1', [
        ids[name as keyof typeof ids],
        at,
      ])
    }
  })

  const list = async (query: Partial<PaymentsQuery> = {}) =>
    expectStatus(await system.call(listPayments, { headers: keys, query }), 200)
  async function found(query: Partial<PaymentsQuery>): Promise<string[]> {
    const { data, total } = await list(query)
    expect(total).toBe(data.length)
    const names = new Map(Object.entries(ids).map(([name, id]) => [id, name]))
    return data.map(({ id }) => names.get(id)!).sort()
  }
  const all = ['card', 'failed', 'odd', 'paid', 'plain']

  test('is newest first, ten to a page, stable, with the total', async () => {
    const { data, ...page } = await list()
    expect(page).toEqual({ total: 5, limit: 10, offset: 0 })
    expect(data.map(({ id }) => id)).toEqual([
      ...[ids.odd, ids.plain].toSorted(),
      ids.card,
      ids.failed,
      ids.paid,
    ])
    for (const payment of data) expect([...Value.Errors(Payment, payment)]).toEqual([])
    const pages = await Promise.all([0, 2, 4].map((offset) => list({ limit: 2, offset })))
    expect(pages.flatMap((part) => part.data)).toEqual(data)
    expect(pages[2]).toMatchObject({ total: 5, limit: 2, offset: 4 })
    expect(await list({ offset: 5 })).toEqual({ data: [], total: 5, limit: 10, offset: 5 })
  })

  test.each<[Partial<PaymentsQuery>, string[]]>([
    [{ status: 'success' }, ['odd', 'paid', 'plain']],
    [{ status: 'failed' }, ['card', 'failed']],
    [{ status: 'pending' }, []],
    [{ status: 'created' }, []],
    [{ method: 'card' }, ['card']],
    [{ method: 'upi' }, ['failed', 'odd', 'paid', 'plain']],
    [{ method: 'gateway' }, []],
    [{ method: 'upi', status: 'failed' }, ['failed']],
    [{ order_id: 'order_AAAAAAAAAAAAAAAA' }, []],
    [{ order_id: '%' }, []],
    [{ order_id: '' }, []],
    // A day is all of it, in UTC; a moment is that moment, included.
    [{ from: '2026-01-10', to: '2026-01-10' }, ['failed', 'paid']],
    [{ to: '2026-01-09' }, []],
    [{ to: '2026-01-10' }, ['failed', 'paid']],
    [{ from: '2026-01-11' }, ['card', 'odd', 'plain']],
    [{ from: '2026-01-11T00:00:00Z', to: '2026-01-11T00:00:00Z' }, ['card']],
    [{ from: '2026-01-11T00:00Z', to: '2026-01-12T11:59:59.999Z' }, ['card']],
    [{ from: '2026-01-11T05:30:00.001+05:30' }, ['odd', 'plain']],
    [{ to: '2026-01-11T05:30:00+05:30' }, ['card', 'failed', 'paid']],
    [{ from: '2026-01-12', to: '2026-01-10' }, []],
    [{ from: '0001-01-01', to: '9999-12-31' }, all],
    [{ to: '9999-12-31T23:59:59-23:59' }, all],
    [{ search: '' }, all],
    [{ search: 'okbank' }, ['paid']],
    [{ search: 'anna.k@' }, ['paid']],
    [{ search: '0069' }, ['card']],
    [{ search: 'pay_' }, all],
    [{ search: 'order_' }, all],
    [{ search: 'user_1' }, ['odd']],
    [{ search: '_1@' }, ['odd']],
    [{ search: '%' }, []],
    [{ search: 'user%paytm' }, []],
    [{ search: '\\' }, []],
    [{ search: "' OR 1=1 --" }, []],
    [{ search: '@paytm', status: 'success', method: 'upi', from: '2026-01-12' }, ['odd', 'plain']],
  ])('?%j finds %j', async (query, expected) => {
    expect(await found(query)).toEqual(expected)
  })

  test('finds a payment by its order, and by a part of either id', async () => {
    expect(await found({ order_id: orderIds[0]! })).toEqual(['paid'])
    expect(await found({ search: orderIds[1]!.slice(8) })).toEqual(['failed'])
    expect(await found({ search: ids.card.slice(6) })).toEqual(['card'])
    expect(await found({ search: ids.card.toUpperCase() })).toEqual(['card'])
  })

  test.each([
    ...['0', '101', '-1', '1.5', 'x', ''].map((limit) => `limit=${limit}`),
    'offset=-1',
    'offset=2147483648',
    'status=paid',
    'status=',
    'method=cash',
    ...[
      'yesterday',
      '2026-02-30',
      '2026-13-01',
      '2026-01-10T25:00:00Z',
      '2026-01-10T10:00:00',
      '1768003200',
      '',
      '2026-01-10%00',
      '0000-01-01',
      '0001-01-01T00:00:00%2B23:59',
    ].flatMap((moment) => [`from=${moment}`, `to=${moment}`]),
    `search=${'x'.repeat(256)}`,
    'search=%00',
    'status=failed&status=success',
  ])('?%s is 400 and names what is wrong', async (query) => {
    const [field] = query.split('=')
    expect(await request('GET', `/api/v1/payments?${query}`, { headers: keys })).toEqual({
      status: 400,
      body: refusal('BAD_REQUEST_ERROR', { field }),
    })
  })
})

describe('the timeline', () => {
  test('tells every change in order, with its cause and request', async () => {
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
    // What the bank did is told under the request that began it.
    const requests = data.map(({ request_id }) => request_id)
    expect(requests.map((requestId) => requests.indexOf(requestId))).toEqual([0, 0, 0, 3, 3, 5, 6, 6])
    const paged = { headers, params: { payment_id: id }, query: { limit: 2, offset: 3 } }
    expect((await system.call(getPaymentTimeline, paged)).body).toMatchObject({
      data: data.slice(3, 5),
      total: 8,
    })
  })

  test('of a payer’s payment begins with the payer, of a failed one ends with the failure', async () => {
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

describe('who asks for what', () => {
  const unknownIds = [
    'pay_AAAAAAAAAAAAAAAA',
    'pay_AAAAAAAAAAAAAAA',
    'pay_AAAAAAAAAAAAAAAAA',
    'rfnd_AAAAAAAAAAAAAAAA',
    'pay_AAAAAAAAAAAAAAA%0A',
    '%00',
    '%F0%9F%98%80',
  ]
  test.each(unknownIds)('an unknown payment is 404 on every route: %s', async (id) => {
    const json = { ...seededKeys, 'content-type': 'application/json' }
    const expected = { status: 404, body: refusal('NOT_FOUND_ERROR', { description: 'Payment not found' }) }
    for (const part of ['', '/public', '/timeline', '/refunds']) {
      expect(await request('GET', `/api/v1/payments/${id}${part}`, { headers })).toEqual(expected)
    }
    for (const part of ['/capture', '/refunds']) {
      const init = { headers: json, body: '{"amount":100}' }
      expect(await request('POST', `/api/v1/payments/${id}${part}`, init)).toEqual(expected)
    }
  })

  test.each([
    ['order_AAAAAAAAAAAAAAAA'],
    ['order_A'],
    [''],
    ['pay_AAAAAAAAAAAAAAAA'],
    ['\u0000'],
    ['\ud800'],
  ])('a payment of an unknown order is 404: %j', async (orderId) => {
    const body = { order_id: orderId, method: 'upi' as const, vpa: 'user@paytm' }
    const expected = { status: 404, body: refusal('NOT_FOUND_ERROR', { description: 'Order not found' }) }
    expect(await system.call(createPayment, { headers, body })).toMatchObject(expected)
    expect(await system.call(createPublicPayment, { body })).toMatchObject(expected)
  })

  test.each([undefined, null, 5, ['order_AAAAAAAAAAAAAAAA']])(
    'an order id that is %j is 400',
    async (order_id) => {
      const body = JSON.stringify({ order_id, method: 'upi', vpa: 'user@paytm' })
      for (const path of ['/api/v1/payments', '/api/v1/payments/public']) {
        const init = { headers: { ...seededKeys, 'content-type': 'application/json' }, body }
        expect(await request('POST', path, init)).toEqual({
          status: 400,
          body: refusal('BAD_REQUEST_ERROR', { field: 'order_id' }),
        })
      }
    },
  )

  const routes = (Object.values(contracts) as unknown[]).filter(
    (value): value is contracts.RouteContract =>
      typeof value === 'object' && value !== null && 'operationId' in value,
  )
  const merchantRoutes = routes.filter(({ access }) => access === 'merchant')
  const open = [
    '/',
    '/live',
    '/health',
    '/api/v1/health',
    '/api/v1/session',
    '/api/v1/orders/:order_id/public',
    '/api/v1/payments/public',
    '/api/v1/payments/:payment_id/public',
    '/api/v1/test/merchant',
    '/api/v1/test/jobs/status',
  ]

  test('every gateway route wants keys, but health, login, the payers’ and the testers’', () => {
    expect(merchantRoutes.length).toBeGreaterThanOrEqual(13)
    const gateway = routes.filter(({ url, access }) => url.startsWith('/api/v1/') && access !== 'merchant')
    const others = gateway.filter(({ url, access }) => !open.includes(url) && access !== 'sandbox')
    expect(others.map(({ url }) => url)).toEqual([])
  })

  test.each(merchantRoutes.map(({ method, url }) => [method, url]))(
    '%s %s is 401 with wrong keys, whatever else is wrong',
    async (method, url) => {
      const path = url.replace(/:\w+/, 'unknown')
      const wrongKeys: Record<string, string>[] = [
        {},
        { 'x-api-key': seededKeys['x-api-key'] },
        { 'x-api-secret': seededKeys['x-api-secret'] },
        { ...seededKeys, 'x-api-secret': 'secret_test_xyz78' },
        { ...seededKeys, 'x-api-secret': '' },
        { ...seededKeys, 'x-api-key': 'key_test_abc124' },
        { ...seededKeys, 'x-api-key': 'KEY_TEST_ABC123' },
      ]
      for (const wrong of wrongKeys) {
        const init =
          method === 'POST'
            ? { headers: { ...wrong, 'content-type': 'application/json' }, body: '{' }
            : { headers: wrong }
        expect(await request(method, `${path}?limit=0`, init)).toEqual({
          status: 401,
          body: refusal('AUTHENTICATION_ERROR', { description: 'Invalid API credentials' }),
        })
      }
    },
  )

  test('what is wrong in a request comes before what is unknown', async () => {
    const json = { ...seededKeys, 'content-type': 'application/json' }
    const id = 'pay_AAAAAAAAAAAAAAAA'
    const bad = { status: 400, body: { error: { code: 'BAD_REQUEST_ERROR' } } }
    for (const part of ['capture', 'refunds']) {
      const init = { headers: json, body: '{"amount":"100"}' }
      expect(await request('POST', `/api/v1/payments/${id}/${part}`, init)).toMatchObject(bad)
    }
    for (const part of ['timeline', 'refunds']) {
      expect(await request('GET', `/api/v1/payments/${id}/${part}?limit=0`, { headers })).toMatchObject(bad)
    }
    const order_id = 'order_AAAAAAAAAAAAAAAA'
    const wrongMethods = {
      INVALID_VPA: { method: 'upi', vpa: 'user' },
      INVALID_CARD: { method: 'card', card: { ...goodCard, number: '1' } },
      EXPIRED_CARD: { method: 'card', card: { ...goodCard, expiry_year: '2020' } },
    }
    for (const path of ['/api/v1/payments', '/api/v1/payments/public']) {
      for (const [code, fields] of Object.entries(wrongMethods)) {
        const init = { headers: json, body: JSON.stringify({ order_id, ...fields }) }
        const answer = await request('POST', path, init)
        expect({ path, code: answer.body.error.code }).toEqual({ path, code })
      }
    }
  })

  test('HEAD is answered as GET, without the body', async () => {
    const { id } = await shop.paid()
    for (const part of [`/${id}`, `/${id}/public`, `/${id}/timeline`, `/${id}/refunds`, '']) {
      expect(await request('HEAD', `/api/v1/payments${part}`, { headers })).toEqual({
        status: 200,
        body: undefined,
      })
    }
    expect((await request('HEAD', `/api/v1/payments/${unknownIds[0]}`, { headers })).status).toBe(404)
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
