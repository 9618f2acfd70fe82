// Refunds through the API: of successful payments, within the available amount, settled by the worker.
import { randomUUID } from 'node:crypto'
import { createRefund, getRefund, listRefunds, Refund } from '@sluice/contracts'
import {
  expectStatus,
  seededKeys as headers,
  openShop,
  type Shop,
  startSystem,
  type TestSystem,
  untilKnown,
} from '@sluice/testing'
import Value from 'typebox/value'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'

let system: TestSystem
let shop: Shop
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl') })
  shop = openShop(system.call)
})
afterAll(() => system?.stop())

/** Uses a new idempotency key unless the caller passes one. */
const refund = (id: string, body: { amount: number; reason?: string }, key: string = randomUUID()) =>
  untilKnown(() =>
    system.call(createRefund, {
      headers: { ...headers, 'idempotency-key': key },
      params: { payment_id: id },
      body,
    }),
  )

function send(path: string, init: RequestInit = {}) {
  const more =
    init.body === undefined ? {} : { 'content-type': 'application/json', 'idempotency-key': randomUUID() }
  return untilKnown(async () => {
    const response = await fetch(`${system.api.url}/api/v1${path}`, {
      ...init,
      headers: { ...headers, ...more },
    })
    return { status: response.status, body: JSON.parse(await response.text()) }
  })
}

const refusal = (error: object) => ({
  error: {
    code: 'BAD_REQUEST_ERROR',
    description: expect.any(String),
    request_id: expect.any(String),
    ...error,
  },
})
const exceeds = {
  status: 400,
  body: refusal({
    description: 'Refund amount exceeds available amount',
    reason: 'INSUFFICIENT_REFUND_AMOUNT',
    field: 'amount',
  }),
}
const refundedAmount = async (paymentId: string) => (await shop.readPayment(paymentId)).refunded_amount

test('a refund gets 201 at once, pending, and the worker processes it', async () => {
  const payment = await shop.paid()
  const { status, body } = await refund(payment.id, { amount: 50_000, reason: 'Customer requested refund' })
  expect({ status, body }).toEqual({
    status: 201,
    body: {
      id: expect.stringMatching(/^rfnd_[A-Za-z0-9]{16}$/),
      payment_id: payment.id,
      amount: 50_000,
      reason: 'Customer requested refund',
      status: 'pending',
      error_code: null,
      error_description: null,
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      updated_at: expect.any(String),
      processed_at: null,
    },
  })
  const created = body as Refund
  expect([...Value.Errors(Refund, created)]).toEqual([])
  const ended = await shop.refundSettled(created.id)
  expect(ended).toEqual({
    ...created,
    status: 'processed',
    updated_at: ended.updated_at,
    processed_at: expect.stringMatching(/^\d{4}-.*Z$/),
  })
  expect(Date.parse(ended.processed_at!)).toBeGreaterThanOrEqual(Date.parse(created.created_at))
  expect([...Value.Errors(Refund, ended)]).toEqual([])
  expect(await shop.readPayment(payment.id)).toMatchObject({ status: 'success', refunded_amount: 50_000 })
})

test('the reason is optional text, null without one', async () => {
  const { id } = await shop.paid()
  expect(await shop.refund(id, 1)).toMatchObject({ reason: null })
  for (const reason of ['', '<b>😀</b>\n%', 'x'.repeat(10_000)]) {
    const { id: refundId } = expectStatus(await refund(id, { amount: 1, reason }), 201)
    expect((await shop.readRefund(refundId)).reason).toBe(reason)
  }
})

test('a payment of ₹500 does not allow two refunds of ₹400', async () => {
  const { id } = await shop.paid(50_000)
  expect((await refund(id, { amount: 40_000 })).status).toBe(201)
  const second = await refund(id, { amount: 40_000 })
  expect({ status: second.status, body: second.body }).toEqual(exceeds)
})

test('pending and processed refunds add up to the payment at most', async () => {
  const { id } = await shop.paid(1000)
  expect(await refund(id, { amount: 1001 })).toMatchObject(exceeds)
  const first = await shop.refund(id, 300)
  expect(await refundedAmount(id)).toBe(300)
  expect(await refund(id, { amount: 701 })).toMatchObject(exceeds)
  await shop.refundSettled(first.id)
  expect(await refundedAmount(id)).toBe(300)
  expect(await refund(id, { amount: 701 })).toMatchObject(exceeds)
  const second = await shop.refund(id, 700)
  expect((await shop.refundSettled(second.id)).status).toBe('processed')
  expect(await refund(id, { amount: 1 })).toMatchObject(exceeds)
  expect(await refundedAmount(id)).toBe(1000)
})

test('of 10 concurrent refunds, as many succeed as fit', async () => {
  const { id } = await shop.paid(1000)
  const responses = await Promise.all(Array.from({ length: 10 }, () => refund(id, { amount: 300 })))
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(3)
  for (const { status, body } of responses) if (status !== 201) expect({ status, body }).toEqual(exceeds)
  expect(await refundedAmount(id)).toBe(900)
})

test('a refund that the bank refuses fails, and its amount is available again, once', async () => {
  const { id } = await shop.paid(1000, 'refundfail@test')
  const { id: refundId } = await shop.refund(id, 600)
  expect(await refundedAmount(id)).toBe(600)
  const failed = await shop.refundSettled(refundId)
  expect(failed).toMatchObject({
    status: 'failed',
    error_code: 'REFUND_FAILED',
    error_description: expect.stringMatching(/refused/),
    processed_at: null,
  })
  expect([...Value.Errors(Refund, failed)]).toEqual([])
  expect(await refundedAmount(id)).toBe(0)
  expect(await refund(id, { amount: 1001 })).toMatchObject(exceeds)
  const whole = await shop.refund(id, 1000)
  expect(await refundedAmount(id)).toBe(1000)
  await shop.refundSettled(whole.id)
  // Both refunds have failed. A second release of the first one would make the sum negative.
  expect(await refundedAmount(id)).toBe(0)
  const endings = await system.completions()
  for (const ended of [refundId, whole.id]) expect(endings).toContainEqual({ id: ended, times: 1 })
})

test('a refund fails when its payment does not cover it any more', async () => {
  const { id } = await shop.paid(1000)
  const worker = system.workers.at(-1)!
  await worker.stop()
  const { id: refundId } = await shop.refund(id, 400)
  // The API cannot cause this state; a manual change of the database can.
  const switchTriggers = async (how: 'DISABLE' | 'ENABLE') => {
    await system.database.query(`ALTER TABLE refunds ${how} TRIGGER keep_refunded_amount`)
    await system.database.query(`ALTER TABLE payments ${how} TRIGGER refunded_stays_counted`)
  }
  await switchTriggers('DISABLE')
  await system.database.query('UPDATE payments SET refunded_amount = 0 WHERE id = $1', [id])
  await system.startWorker()
  const ended = await shop.refundSettled(refundId).finally(() => switchTriggers('ENABLE'))
  expect(ended).toMatchObject({ status: 'failed', error_code: 'REFUND_NOT_COVERED' })
})

test('only successful payments can be refunded', async () => {
  const { id: orderId } = await shop.order()
  const failed = await shop.settled((await shop.pay(orderId, 'failure@test')).id)
  const pending = await shop.pay(orderId, 'timeout@test')
  for (const { id } of [failed, pending]) {
    const { status, body } = await refund(id, { amount: 100 })
    expect({ status, body }).toEqual({
      status: 400,
      body: refusal({ description: expect.stringMatching(/only successful payments/) }),
    })
    expect((await system.call(listRefunds, { headers, params: { payment_id: id } })).body).toMatchObject({
      total: 0,
    })
  }
})

test.each([
  ['no body', '', undefined],
  ['no amount', '{"reason":"x"}', 'amount'],
  ['a text amount', '{"amount":"100"}', 'amount'],
  ['null', '{"amount":null}', 'amount'],
  ['nothing', '{"amount":0}', 'amount'],
  ['less than nothing', '{"amount":-1}', 'amount'],
  ['a fraction', '{"amount":1.5}', 'amount'],
  ['too large an amount', '{"amount":1000000000000}', 'amount'],
  ['a number as reason', '{"amount":1,"reason":5}', 'reason'],
  ['too long a reason', JSON.stringify({ amount: 1, reason: 'x'.repeat(10_001) }), 'reason'],
  ['NUL in the reason', '{"amount":1,"reason":"\\u0000"}', 'reason'],
  ['a lone surrogate in the reason', '{"amount":1,"reason":"\\ud800"}', 'reason'],
  ['__proto__', '{"amount":1,"__proto__":{}}', undefined],
])('%s is 400 without a refund', async (_name, body, field) => {
  const { id } = await shop.paid()
  expect(await send(`/payments/${id}/refunds`, { method: 'POST', body })).toEqual({
    status: 400,
    body: refusal(field === undefined ? {} : { field }),
  })
  expect(await refundedAmount(id)).toBe(0)
})

test('unknown fields are ignored: a caller cannot set the status', async () => {
  const { id } = await shop.paid()
  const body = JSON.stringify({
    amount: 5,
    id: 'rfnd_AAAAAAAAAAAAAAAA',
    status: 'processed',
    payment_id: 'x',
  })
  const response = await send(`/payments/${id}/refunds`, { method: 'POST', body })
  expect(response).toMatchObject({ status: 201, body: { payment_id: id, status: 'pending' } })
  expect(response.body.id).not.toBe('rfnd_AAAAAAAAAAAAAAAA')
})

test.each([
  'rfnd_AAAAAAAAAAAAAAAA',
  'rfnd_AAAAAAAAAAAAAAA',
  'pay_AAAAAAAAAAAAAAAA',
  'rfnd_AAAAAAAAAAAAAAA%0A',
  '%00',
  '%F0%9F%98%80',
])('an unknown refund is 404: %s', async (id) => {
  expect(await send(`/refunds/${id}`)).toEqual({
    status: 404,
    body: refusal({ code: 'NOT_FOUND_ERROR', description: 'Refund not found' }),
  })
})

test('HEAD responds as GET does', async () => {
  const { id } = await shop.refund((await shop.paid()).id, 1)
  const response = await fetch(`${system.api.url}/api/v1/refunds/${id}`, { method: 'HEAD', headers })
  expect([response.status, await response.text()]).toEqual([200, ''])
})

test('the list has the refunds of one payment only, newest first, in pages', async () => {
  const { id } = await shop.paid()
  const list = async (query: { limit?: number; offset?: number } = {}) =>
    expectStatus(await system.call(listRefunds, { headers, params: { payment_id: id }, query }), 200)
  expect(await list()).toEqual({ data: [], total: 0, limit: 10, offset: 0 })
  await shop.refund((await shop.paid()).id, 1)
  const ids: string[] = []
  for (let n = 0; n < 12; n++) ids.unshift((await shop.refund(id, 100 + n)).id)
  for (const refundId of ids) await shop.refundSettled(refundId)
  await system.database.query(
    `UPDATE refunds SET created_at = created_at + amount * interval '1 s' WHERE payment_id = $1`,
    [id],
  )
  const { data, ...page } = await list()
  expect(page).toEqual({ total: 12, limit: 10, offset: 0 })
  expect(data.map((one) => one.id)).toEqual(ids.slice(0, 10))
  const params = { refund_id: ids[0]! }
  expect(data[0]).toEqual(expectStatus(await system.call(getRefund, { headers, params }), 200))
  expect((await list({ limit: 5, offset: 10 })).data.map((one) => one.id)).toEqual(ids.slice(10))
  for (const query of ['limit=0', 'limit=101', 'limit=x', 'offset=-1']) {
    const [field] = query.split('=')
    expect(await send(`/payments/${id}/refunds?${query}`)).toEqual({ status: 400, body: refusal({ field }) })
  }
})

test('a repeated refund with the same key has one effect', async () => {
  const { id } = await shop.paid()
  const key = randomUUID()
  const first = await refund(id, { amount: 30_000 }, key)
  const again = await refund(id, { amount: 30_000 }, key)
  expect([first.status, again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 201, 'true'])
  expect(again.body).toEqual(first.body)
  expect(await refundedAmount(id)).toBe(30_000)
})
