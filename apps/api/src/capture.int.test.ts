// Capture: a successful payment is captured once, in full, and before its first refund.
import { randomUUID } from 'node:crypto'
import { capturePayment, Payment } from '@sluice/contracts'
import {
  expectStatus,
  seededKeys as headers,
  openShop,
  type Shop,
  type TestSystem,
  untilKnown,
} from '@sluice/testing'
import { test } from '@sluice/testing/fixtures'
import Value from 'typebox/value'
import { expect } from 'vitest'

let system: TestSystem
let shop: Shop
test.beforeAll(({ system: shared }) => {
  system = shared
  shop = openShop(system.call)
})

/** Uses a new idempotency key unless the caller passes one. */
const capture = (id: string, amount = 50_000, key: string = randomUUID()) => {
  const input = { params: { payment_id: id }, body: { amount } }
  return untilKnown(() =>
    system.call(capturePayment, { headers: { ...headers, 'idempotency-key': key }, ...input }),
  )
}

const refused = (error: object) => ({
  status: 400,
  body: { error: { code: 'BAD_REQUEST_ERROR', request_id: expect.any(String), ...error } },
})
const notCapturable = { status: 400, body: { error: { description: 'Payment not in capturable state' } } }
const alreadyCaptured = refused({
  description: 'Payment not in capturable state',
  reason: 'ALREADY_CAPTURED',
})

test('a capture of a successful payment responds 200, and the payment stays captured', async () => {
  const paid = await shop.paid()
  expect(paid.captured).toBe(false)
  const { status, body } = await capture(paid.id)
  expect(status).toBe(200)
  expect(body).toEqual({ ...paid, captured: true, updated_at: expect.any(String) })
  expect([...Value.Errors(Payment, body)]).toEqual([])
  const captured = expectStatus({ status, body }, 200) as Payment
  expect(Date.parse(captured.updated_at)).toBeGreaterThan(Date.parse(paid.updated_at))
  expect(await shop.readPayment(paid.id)).toEqual(body)
  const [row] = await system.database.query('SELECT captured, status FROM payments WHERE id = $1', [paid.id])
  expect(row).toEqual({ captured: true, status: 'success' })
})

test('a payment is captured once', async () => {
  const { id } = await shop.paid()
  expect((await capture(id)).status).toBe(200)
  expect(await capture(id)).toMatchObject(notCapturable)
  expect((await capture(id)).body).toEqual(alreadyCaptured.body)
})

test('of 10 concurrent captures one succeeds', async () => {
  const { id } = await shop.paid()
  const responses = await Promise.all(Array.from({ length: 10 }, () => capture(id)))
  expect(responses.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(400)])
  for (const { status, body } of responses) if (status === 400) expect(body).toEqual(alreadyCaptured.body)
})

test('a pending or failed payment is not captured', async () => {
  const { id: orderId } = await shop.order()
  const { id: failedId } = await shop.pay(orderId, 'failure@test')
  await shop.settled(failedId)
  expect(await capture(failedId)).toMatchObject(notCapturable)
  const pending = await shop.pay(orderId, 'timeout@test')
  expect(await capture(pending.id)).toMatchObject(notCapturable)
  expect((await shop.readPayment(pending.id)).captured).toBe(false)
})

test('a wrong state is reported before a wrong amount', async () => {
  const { id } = await shop.paid()
  await capture(id)
  expect(await capture(id, 1)).toMatchObject(notCapturable)
})

test.each([49_999, 50_001, 1, 999_999_999_999])(
  'an amount that differs from the payment’s is refused: %d',
  async (amount) => {
    const { id } = await shop.paid()
    const response = await capture(id, amount)
    expect(response).toMatchObject(
      refused({ field: 'amount', description: expect.stringMatching(/^amount .*50000/) }),
    )
    expect((await shop.readPayment(id)).captured).toBe(false)
    expect((await capture(id)).status).toBe(200)
  },
)

test.each([
  ['no body', ''],
  ['no amount', '{}'],
  ['a text', '{"amount":"50000"}'],
  ['null', '{"amount":null}'],
  ['a fraction', '{"amount":50000.5}'],
  ['zero', '{"amount":0}'],
  ['less', '{"amount":-50000}'],
  ['too much', '{"amount":1000000000000}'],
  ['a list', '[50000]'],
])('%s in place of an amount is 400', async (_name, body) => {
  const { id } = await shop.paid()
  const response = await untilKnown(() =>
    fetch(`${system.api.url}/api/v1/payments/${id}/capture`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    }),
  )
  expect(response.status).toBe(400)
  expect(JSON.parse(await response.text())).toMatchObject({ error: { code: 'BAD_REQUEST_ERROR' } })
  expect((await shop.readPayment(id)).captured).toBe(false)
})

test('a payment with a pending or processed refund is not captured', async () => {
  const { id } = await shop.paid()
  const { id: refundId } = await shop.refund(id, 1)
  expect(await capture(id)).toMatchObject(notCapturable)
  await shop.refundSettled(refundId)
  expect(await capture(id)).toMatchObject(notCapturable)
})

test('a payment whose only refund failed may be captured', async () => {
  const { id } = await shop.paid(50_000, 'refundfail@test')
  expect((await shop.refundSettled((await shop.refund(id, 50_000)).id)).status).toBe('failed')
  expect((await capture(id)).status).toBe(200)
})

test('a captured payment may be refunded', async () => {
  const { id } = await shop.paid()
  await capture(id)
  expect((await shop.refundSettled((await shop.refund(id, 50_000)).id)).status).toBe('processed')
  expect(await shop.readPayment(id)).toMatchObject({ captured: true, refunded_amount: 50_000 })
})

test('a repeated capture with the same key gets the first response', async () => {
  const { id } = await shop.paid()
  const key = randomUUID()
  const first = await capture(id, 50_000, key)
  const again = await capture(id, 50_000, key)
  expect([first.status, again.status, again.headers.get('idempotent-replayed')]).toEqual([200, 200, 'true'])
  expect(again.body).toEqual(first.body)
})
