// The scope of an Idempotency-Key: which requests count as the same, for which merchant or payer.
import { randomUUID } from 'node:crypto'
import {
  addMerchant,
  errorOf,
  openPosts,
  openShop,
  type Post,
  SEEDED_MERCHANT_ID,
  type TestSystem,
} from '@sluice/testing'
import { test } from '@sluice/testing/fixtures'
import { describe, expect } from 'vitest'

let system: TestSystem
test.beforeAll(({ system: shared }) => {
  system = shared
})

const shop = () => openShop(system.call)
const send = (post: Post) => openPosts(system.api).send(post)
const newKey = () => randomUUID()
const upi = (orderId: string, vpa: string) => ({ order_id: orderId, method: 'upi', vpa })
const storedResponses = async (key: string) => {
  const rows = await system.database.query<{ response: string }>(
    'SELECT response::text FROM idempotency_keys WHERE key = $1',
    [key],
  )
  return rows.map(({ response }) => response)
}

test('differently encoded ids in the path make the same request', async () => {
  const { id, amount } = await shop().paid()
  for (const [what, status] of [
    ['capture', 200],
    ['refunds', 201],
  ] as const) {
    const request = { key: newKey(), body: { amount } }
    const first = await send({ ...request, path: `/api/v1/payments/${id}/${what}` })
    expect(first).toMatchObject({ status, replayed: null })
    for (const spelled of [id.replace('_', '%5F'), id.replace('_', '%5f'), `%70${id.slice(1)}`]) {
      const again = await send({ ...request, path: `/api/v1/payments/${spelled}/${what}?x=1` })
      expect(again).toEqual({ ...first, replayed: 'true' })
    }
  }
})

test('the order of JSON keys does not make another request at any depth, a different value does', async () => {
  const key = newKey()
  const order = (notes: string) => ({ path: '/api/v1/orders', key, body: `{"amount":700,"notes":${notes}}` })
  const first = await send(order('{"a":{"x":1,"y":[2]},"b":"ü"}'))
  expect(first).toMatchObject({ status: 201, replayed: null })
  const again = await send(order('{"b":"\\u00fc","a":{"y":[2],"x":1}}'))
  expect(again).toEqual({ ...first, replayed: 'true' })
  for (const notes of ['{"a":{"x":1,"y":[3]},"b":"ü"}', '{"a":{"x":1,"y":[2]},"b":["ü"]}']) {
    expect(await send(order(notes))).toMatchObject({ status: 400 })
  }
})

test('keys of two merchants are independent', async () => {
  const [one, two] = [await addMerchant(system.database), await addMerchant(system.database)]
  const key = newKey()
  const request = { path: '/api/v1/orders', body: { amount: 700 }, key }
  const first = await send({ ...request, headers: one.keys })
  const second = await send({ ...request, headers: two.keys })
  expect([first, second]).toMatchObject([
    { status: 201, replayed: null },
    { status: 201, replayed: null },
  ])
  expect(JSON.parse(second.text).merchant_id).toBe(two.id)
  expect(await send({ ...request, headers: one.keys })).toEqual({ ...first, replayed: 'true' })
  expect(await storedResponses(key)).toHaveLength(2)
})

test('payers’ keys belong to their order, and are independent of the merchant’s', async () => {
  const orders = [await shop().order(), await shop().order()]
  const key = newKey()
  const [merchants, ...payers] = [
    await send({ path: '/api/v1/payments', body: upi(orders[0]!.id, 'failure@test'), key }),
    await send({
      path: '/api/v1/payments/public',
      body: upi(orders[0]!.id, 'failure@test'),
      headers: {},
      key,
    }),
    await send({
      path: '/api/v1/payments/public',
      body: upi(orders[1]!.id, 'failure@test'),
      headers: {},
      key,
    }),
  ]
  const ids = [merchants!, ...payers].map(({ status, replayed, text }) => {
    expect([status, replayed]).toEqual([201, null])
    return JSON.parse(text).id
  })
  expect(new Set(ids).size).toBe(3)
  const rows = await system.database.query<{ scope: string }>(
    'SELECT scope FROM idempotency_keys WHERE key = $1 AND merchant_id = $2',
    [key, SEEDED_MERCHANT_ID],
  )
  expect(rows.map(({ scope }) => scope).sort()).toEqual(['', ...orders.map(({ id }) => id)].sort())
  // A payer never gets the merchant's response.
  expect(JSON.parse(payers[0]!.text)).not.toHaveProperty('captured')
})

describe('cards', () => {
  const card = {
    number: '4012810000771881',
    expiry_month: '12',
    expiry_year: '2099',
    cvv: '837',
    holder_name: 'Canary Holder',
  }
  const pay = async (key: string, orderId: string, fields: Partial<typeof card> = {}) =>
    send({
      path: '/api/v1/payments',
      body: { order_id: orderId, method: 'card', card: { ...card, ...fields } },
      key,
    })

  test('only network and last four digits of a card are compared and stored', async () => {
    const { id } = await shop().order()
    const key = newKey()
    const first = await pay(key, id)
    expect(first.status).toBe(201)
    const same = {
      number: '4012 8100 0770 1881',
      cvv: '291',
      expiry_year: '98',
      holder_name: 'Another Holder',
    }
    expect(await pay(key, id, same)).toEqual({ ...first, replayed: 'true' })
    expect(errorOf(await pay(key, id, { number: '4242424242424242' }))).toMatchObject({
      status: 400,
      field: 'Idempotency-Key',
    })
    const [row] = await system.database.query<{ text: string }>(
      `SELECT string_agg(k::text, '') AS text FROM idempotency_keys k`,
    )
    for (const secret of ['4012810000771881', '4012810007701881', 'Canary Holder', 'Another Holder']) {
      expect(row!.text).not.toContain(secret)
    }
    // Ids and times contain random digits, so each field is compared by name.
    const [stored] = await storedResponses(key)
    expect(JSON.parse(stored!)).toEqual({
      id: expect.any(String),
      order_id: id,
      created_at: expect.any(String),
      updated_at: expect.any(String),
      amount: 50_000,
      currency: 'INR',
      method: 'card',
      card_network: 'visa',
      card_last4: '1881',
      status: 'pending',
      captured: false,
      refunded_amount: 0,
      error_code: null,
      error_description: null,
    })
  })

  test('a card that has expired since then still gets the first response', async () => {
    const { id } = await shop().order()
    const key = newKey()
    const first = await pay(key, id)
    // The expiry is not compared, so this request equals the first one after the card has expired.
    const expired = { expiry_month: '01', expiry_year: '2020' }
    expect(await pay(key, id, expired)).toEqual({ ...first, replayed: 'true' })
    expect(errorOf(await pay(newKey(), id, expired))).toMatchObject({ status: 400, code: 'EXPIRED_CARD' })
  })
})
