// Orders through the API: accepted and refused requests, responses and lists, for merchants and payers.
import { randomUUID } from 'node:crypto'
import {
  createOrder,
  getOrder,
  getPublicOrder,
  listOrders,
  NOTES_BYTES_MAX,
  Order,
  PublicOrder,
} from '@sluice/contracts'
import {
  addMerchant,
  expectStatus,
  openShop,
  SEEDED_MERCHANT_ID,
  seededKeys,
  type TestSystem,
  untilKnown,
} from '@sluice/testing'
import { test } from '@sluice/testing/fixtures'
import Value from 'typebox/value'
import { describe, expect } from 'vitest'

let system: TestSystem
test.beforeAll(({ system: shared }) => {
  system = shared
})

const url = '/api/v1/orders'
const json = { 'content-type': 'application/json' }

function post(body: unknown, headers: Record<string, string> = { ...json, ...seededKeys }) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const keyed = { ...headers, 'idempotency-key': randomUUID() }
  return untilKnown(async () => {
    const response = await fetch(system.api.url + url, { method: 'POST', headers: keyed, body: text })
    return { status: response.status, body: JSON.parse(await response.text()) }
  })
}

async function read(path: string, headers: Record<string, string> = seededKeys) {
  const response = await fetch(system.api.url + path, { headers })
  return { status: response.status, body: JSON.parse(await response.text()) }
}

const readOrder = async (id: string) =>
  expectStatus(await system.call(getOrder, { headers: seededKeys, params: { order_id: id } }), 200)

const refusal = (error: object, code = 'BAD_REQUEST_ERROR') => ({
  error: { code, request_id: expect.any(String), description: expect.any(String), ...error },
})

describe('creating', () => {
  test('a new order gets 201 with all of its fields, and is stored with them', async () => {
    const request = {
      amount: 50000,
      currency: 'INR',
      receipt: 'receipt_123',
      notes: { customer_name: 'John Doe' },
    }
    const { status, body } = await post(request)
    expect(status).toBe(201)
    expect(body).toEqual({
      ...request,
      id: expect.stringMatching(/^order_[A-Za-z0-9]{16}$/),
      merchant_id: SEEDED_MERCHANT_ID,
      status: 'created',
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: body.created_at,
    })
    expect([...Value.Errors(Order, body)]).toEqual([])
    const [row] = await system.database.query(
      `SELECT id, merchant_id, amount::int, currency, receipt, notes, status FROM orders WHERE id = $1`,
      [body.id],
    )
    const { created_at, updated_at, ...stored } = body
    expect(row).toEqual(stored)
    expect(await readOrder(body.id)).toEqual(body)
  })

  test('without values, currency is INR, receipt is null and notes are {}', async () => {
    const { status, body } = await post({ amount: 100 })
    expect({ status, body }).toMatchObject({ status: 201, body: { amount: 100, currency: 'INR' } })
    expect([body.receipt, body.notes, body.status]).toEqual([null, {}, 'created'])
    expect(await readOrder(body.id)).toEqual(body)
  })

  test('each order gets a new id: order_ and 16 letters and digits', async () => {
    const shop = openShop(system.call)
    const ids: string[] = []
    while (ids.length < 100) ids.push((await shop.order()).id)
    expect(new Set(ids).size).toBe(100)
    expect(ids.filter((id) => !/^order_[A-Za-z0-9]{16}$/.test(id))).toEqual([])
  })

  test.each([99, 1, 0, -1, -50000])(
    'an amount of %j is refused with the fixed error text',
    async (amount) => {
      expect(await post({ amount })).toEqual({
        status: 400,
        body: refusal({ description: 'amount must be at least 100', field: 'amount' }),
      })
    },
  )

  test.each([
    { amount: 100 },
    { amount: 999_999_999_999 },
    { amount: 1e3 },
    { amount: 100, currency: 'JPY' },
    { amount: 100, currency: 'KWD' },
    { amount: 100, receipt: '' },
    { amount: 100, receipt: '😀'.repeat(255) },
    { amount: 100, notes: { toJSON: 1, ключ: [null, true, 1.5, { '': '%' }] } },
    { amount: 100, notes: { nul: '\u0000', lone: '\ud800', '\udfff': 'x' } },
  ])('what is allowed is taken and comes back as it was sent: %j', async (request) => {
    const { status, body } = await post(request)
    expect({ status, body }).toMatchObject({ status: 201, body: request })
    expect(await readOrder(body.id)).toEqual(body)
  })

  test.each([
    ['a text amount', { amount: '1500' }, 'amount'],
    ['no amount', {}, 'amount'],
    ['null', { amount: null }, 'amount'],
    ['a fraction', { amount: 150.5 }, 'amount'],
    ['a boolean', { amount: true }, 'amount'],
    ['too large an amount', { amount: 1_000_000_000_000 }, 'amount'],
    ['an absurd amount', { amount: 1e300 }, 'amount'],
    ['a currency in lower case', { amount: 100, currency: 'inr' }, 'currency'],
    ['an unknown currency', { amount: 100, currency: 'ABC' }, 'currency'],
    ['an empty currency', { amount: 100, currency: '' }, 'currency'],
    ['a long currency', { amount: 100, currency: 'INRR' }, 'currency'],
    ['no currency at all', { amount: 100, currency: null }, 'currency'],
    ['a receipt of 256 characters', { amount: 100, receipt: 'x'.repeat(256) }, 'receipt'],
    ['a number as receipt', { amount: 100, receipt: 5 }, 'receipt'],
    ['NUL in the receipt', { amount: 100, receipt: 'a\u0000b' }, 'receipt'],
    ['a lone surrogate in the receipt', { amount: 100, receipt: '\ud800' }, 'receipt'],
    ['a text as notes', { amount: 100, notes: 'note' }, 'notes'],
    ['a list as notes', { amount: 100, notes: [] }, 'notes'],
    ['null as notes', { amount: 100, notes: null }, 'notes'],
  ])('%s is 400 and names the field', async (_name, body, field) => {
    const response = await post(body)
    expect(response).toEqual({ status: 400, body: refusal({ field }) })
    expect(response.body.error.description).toContain(field)
  })

  test('notes are up to 64 KiB of JSON, counted in bytes', async () => {
    const frame = Buffer.byteLength('{"text":""}')
    for (const text of ['x'.repeat(NOTES_BYTES_MAX - frame), 'é'.repeat((NOTES_BYTES_MAX - frame - 1) / 2)]) {
      const { status, body } = await post({ amount: 100, notes: { text } })
      expect(status).toBe(201)
      expect((await readOrder(body.id)).notes).toEqual({ text })
    }
    expect(NOTES_BYTES_MAX).toBe(65_536)
    for (const text of ['x'.repeat(NOTES_BYTES_MAX - frame + 1), 'é'.repeat(NOTES_BYTES_MAX / 2)]) {
      expect(await post({ amount: 100, notes: { text } })).toMatchObject({
        status: 400,
        body: refusal({ field: 'notes' }),
      })
    }
  })

  test('notes may be nested up to a safe depth', async () => {
    const nested = (levels: number) =>
      `{"amount":100,"notes":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`
    const { status, body } = await post(nested(100))
    expect(status).toBe(201)
    expect(await readOrder(body.id)).toEqual(body)
    for (const levels of [200, 10_000, 150_000]) {
      expect(await post(nested(levels))).toMatchObject({ status: 400, body: refusal({ field: 'notes' }) })
    }
    const lists = `{"amount":100,"notes":{"a":${'['.repeat(400_000)}${']'.repeat(400_000)}}}`
    expect(await post(lists)).toMatchObject({ status: 400, body: refusal({ field: 'notes' }) })
  })

  test.each(['12345678901234567890', '9007199254740992', '-9007199254740993', '1e400', '-1e400'])(
    'a number in notes that a double cannot hold exactly is 400, at any depth: %s',
    async (number) => {
      for (const notes of [`{"n":${number}}`, `{"list":[1,[{"deep":[${number}]}]]}`]) {
        const response = await post(`{"amount":100,"notes":${notes}}`)
        expect(response).toEqual({ status: 400, body: refusal({ field: 'notes' }) })
        expect(response.body.error.description).toMatch(/numbers in notes/)
      }
    },
  )

  test.each(['9007199254740991', '-9007199254740991', '0.1', '-0', '1e15'])(
    'an exact number in notes is kept: %s',
    async (number) => {
      const { status, body } = await post(`{"amount":100,"notes":{"list":[${number}]}}`)
      expect(status).toBe(201)
      // The number is kept, its spelling is not.
      expect(body.notes.list[0] === Number(number)).toBe(true)
      expect(await readOrder(body.id)).toEqual(body)
    },
  )

  test('unknown fields are ignored: a caller cannot set id, status or merchant', async () => {
    const other = await addMerchant(system.database)
    const forged = { id: 'order_AAAAAAAAAAAAAAAA', status: 'paid', merchant_id: other.id, claimed_by: 'x' }
    const { status, body } = await post({ amount: 100, ...forged })
    expect({ status, body }).toMatchObject({
      status: 201,
      body: { status: 'created', merchant_id: SEEDED_MERCHANT_ID },
    })
    expect(body.id).not.toBe(forged.id)
    expect(body).not.toHaveProperty('claimed_by')
  })

  test.each([
    '{"amount":100,"__proto__":{"amount":1}}',
    '{"amount":100,"notes":{"__proto__":{"isAdmin":true}}}',
    '{"amount":100,"constructor":{"prototype":{"isAdmin":true}}}',
    '{"amount":100',
    '[]',
    '[{"amount":100}]',
    'null',
    '"amount"',
    '100',
    '',
  ])('a body that is no plain object is 400: %s', async (text) => {
    expect(await post(text)).toMatchObject({ status: 400, body: refusal({}) })
    expect({}).not.toHaveProperty('isAdmin')
  })

  test('another media type is 415, a body over 1 MiB 413', async () => {
    const plain = { ...seededKeys, 'content-type': 'text/plain' }
    expect(await post({ amount: 100 }, plain)).toMatchObject({
      status: 415,
      body: refusal({}, 'UNSUPPORTED_MEDIA_TYPE'),
    })
    expect(await post({ amount: 100, notes: { text: 'x'.repeat(2 ** 20) } })).toMatchObject({
      status: 413,
      body: refusal({}, 'PAYLOAD_TOO_LARGE'),
    })
  })
})

describe('reading', () => {
  const unknown = { status: 404, body: refusal({ description: 'Order not found' }, 'NOT_FOUND_ERROR') }

  test.each([
    'order_AAAAAAAAAAAAAAAA',
    'order_AAAAAAAAAAAAAAA',
    'order_AAAAAAAAAAAAAAAAA',
    'pay_AAAAAAAAAAAAAAAA',
    'ORDER_AAAAAAAAAAAAAAAA',
    'order_AAAAAAAAAAAAAAA_',
    'order_AAAAAAAAAAAAAAA%0A',
    '%00',
    '%F0%9F%98%80',
    'x'.repeat(1000),
  ])('an unknown order is 404, to its payers too: %s', async (id) => {
    expect(await read(`${url}/${id}`)).toEqual(unknown)
    expect(await read(`${url}/${id}/public`, {})).toEqual(unknown)
  })

  test('payers need no keys, and see id, amount, currency and status only', async () => {
    const { id } = await openShop(system.call).order(50_000, { currency: 'EUR' })
    const { status, body } = await read(`${url}/${id}/public`, {})
    expect({ status, body }).toEqual({
      status: 200,
      body: { id, amount: 50_000, currency: 'EUR', status: 'created' },
    })
    expect([...Value.Errors(PublicOrder, body)]).toEqual([])
  })

  test('an inactive merchant’s order is unknown to its payers, and its keys are wrong', async () => {
    const merchant = await addMerchant(system.database)
    const order = await openShop(system.call, merchant.keys).order()
    await system.database.query('UPDATE merchants SET is_active = false WHERE id = $1', [merchant.id])
    const params = { order_id: order.id }
    expect(await read(`${url}/${order.id}/public`, {})).toEqual(unknown)
    const own = await system.call(getOrder, { params, headers: merchant.keys })
    expect(own).toMatchObject({ status: 401, body: refusal({}, 'AUTHENTICATION_ERROR') })
    await system.database.query('UPDATE merchants SET is_active = true WHERE id = $1', [merchant.id])
    expectStatus(await system.call(getPublicOrder, { params }), 200)
  })

  test('HEAD responds as GET does, without the body', async () => {
    const order = await openShop(system.call).order()
    for (const [path, status] of [
      [`${url}/${order.id}`, 200],
      [`${url}/${order.id}/public`, 200],
      [url, 200],
      [`${url}/order_AAAAAAAAAAAAAAAA`, 404],
    ] as const) {
      const response = await fetch(system.api.url + path, { method: 'HEAD', headers: seededKeys })
      expect([path, response.status, await response.text()]).toEqual([path, status, ''])
    }
    expect((await fetch(`${system.api.url}${url}/${order.id}`, { method: 'HEAD' })).status).toBe(401)
  })
})

describe('the list', () => {
  test('is newest first, in pages of ten with the total; the pages together contain each order once', async () => {
    const { id, keys: headers } = await addMerchant(system.database)
    const shop = openShop(system.call, headers)
    expect(expectStatus(await system.call(listOrders, { headers }), 200)).toEqual({
      data: [],
      total: 0,
      limit: 10,
      offset: 0,
    })
    const orders: string[] = []
    for (let n = 0; n < 12; n++) orders.unshift((await shop.order(100 + n)).id)
    const list = async (query: { limit?: number; offset?: number } = {}) =>
      expectStatus(await system.call(listOrders, { headers, query }), 200)
    const ids = async (query: object) => (await list(query)).data.map((order) => order.id)

    // Orders of one millisecond have no defined sequence, but each must be listed exactly once.
    await system.database.query(
      `UPDATE orders SET created_at = created_at + amount * interval '1 s' WHERE merchant_id = $1`,
      [id],
    )
    const first = await list()
    expect(first).toMatchObject({ total: 12, limit: 10, offset: 0 })
    expect(first.data.map((order) => order.id)).toEqual(orders.slice(0, 10))
    expect(first.data[0]).toEqual(
      expectStatus(await system.call(getOrder, { headers, params: { order_id: orders[0]! } }), 200),
    )
    expect(await list({ limit: 3, offset: 10 })).toMatchObject({ total: 12, limit: 3, offset: 10 })
    expect(await ids({ limit: 3, offset: 10 })).toEqual(orders.slice(10))
    expect(await ids({ limit: 100 })).toEqual(orders)
    expect(await list({ offset: 12 })).toEqual({ data: [], total: 12, limit: 10, offset: 12 })
    expect(await ids({ offset: 2 ** 31 - 1 })).toEqual([])

    await system.database.query(`UPDATE orders SET created_at = '2026-01-01Z' WHERE merchant_id = $1`, [id])
    const paged = [
      ...(await ids({ limit: 5 })),
      ...(await ids({ limit: 5, offset: 5 })),
      ...(await ids({ offset: 10 })),
    ]
    expect(paged.toSorted()).toEqual(orders.toSorted())
    expect(await ids({ limit: 100 })).toEqual(paged)
  })

  test.each([
    'limit=0',
    'limit=101',
    'limit=-1',
    'limit=1.5',
    'limit=ten',
    'limit=',
    'offset=-1',
    'offset=x',
    'offset=2147483648',
    'limit=1&limit=2',
  ])('?%s is 400 and names what is wrong', async (query) => {
    const [field] = query.split('=')
    expect(await read(`${url}?${query}`)).toEqual({ status: 400, body: refusal({ field }) })
  })

  test('unknown query parameters are ignored', async () => {
    expect(await read(`${url}?limit=1&status=paid&__proto__=1`)).toMatchObject({
      status: 200,
      body: { limit: 1 },
    })
  })
})

test('createOrder accepts an Idempotency-Key', async () => {
  const input = {
    headers: { ...seededKeys, 'idempotency-key': 'o-1' },
    body: { amount: 100, currency: 'INR', notes: {} },
  }
  const first = expectStatus(await untilKnown(() => system.call(createOrder, input)), 201)
  const second = await system.call(createOrder, input)
  expect(second.headers.get('idempotent-replayed')).toBe('true')
  expect(second.body).toEqual(first)
})
