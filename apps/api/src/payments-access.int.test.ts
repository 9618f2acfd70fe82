// Access to payments: unknown payments and orders, wrong keys, and the precedence of errors.
import { randomUUID } from 'node:crypto'
import * as contracts from '@sluice/contracts'
import { createPayment, createPublicPayment } from '@sluice/contracts'
import { goodCard, openShop, seededKeys, type TestSystem, untilKnown } from '@sluice/testing'
import { test } from '@sluice/testing/fixtures'
import { expect } from 'vitest'

let system: TestSystem
test.beforeAll(({ system: shared }) => {
  system = shared
})

const headers = seededKeys

async function request(
  method: string,
  path: string,
  init: { headers?: Record<string, string>; body?: string } = {},
) {
  const keyed = { ...init, headers: { 'idempotency-key': randomUUID(), ...init.headers } }
  return untilKnown(async () => {
    const response = await fetch(system.api.url + path, { method, ...keyed })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  })
}

const refusal = (code: string, error: object = {}) => ({
  error: { code, description: expect.any(String), request_id: expect.any(String), ...error },
})

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

test.each([['order_AAAAAAAAAAAAAAAA'], ['order_A'], [''], ['pay_AAAAAAAAAAAAAAAA'], ['\u0000'], ['\ud800']])(
  'a payment of an unknown order is 404: %j',
  async (orderId) => {
    const body = { order_id: orderId, method: 'upi' as const, vpa: 'user@paytm' }
    const expected = { status: 404, body: refusal('NOT_FOUND_ERROR', { description: 'Order not found' }) }
    expect(await system.call(createPayment, { headers, body })).toMatchObject(expected)
    expect(await system.call(createPublicPayment, { body })).toMatchObject(expected)
  },
)

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

test('every gateway route needs keys, except health, login and the routes for payers and testers', () => {
  expect(merchantRoutes.length).toBeGreaterThanOrEqual(13)
  const gateway = routes.filter(({ url, access }) => url.startsWith('/api/v1/') && access !== 'merchant')
  const others = gateway.filter(({ url, access }) => !open.includes(url) && access !== 'sandbox')
  expect(others.map(({ url }) => url)).toEqual([])
})

test.each(merchantRoutes.map(({ method, url }) => [method, url]))(
  '%s %s is 401 with wrong keys, before any other error',
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

test('a malformed request is reported before an unknown object', async () => {
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
      const response = await request('POST', path, init)
      expect({ path, code: response.body.error.code }).toEqual({ path, code })
    }
  }
})

test('HEAD responds as GET does, without the body', async () => {
  const { id } = await openShop(system.call).paid()
  for (const part of [`/${id}`, `/${id}/public`, `/${id}/timeline`, `/${id}/refunds`, '']) {
    expect(await request('HEAD', `/api/v1/payments${part}`, { headers })).toEqual({
      status: 200,
      body: undefined,
    })
  }
  expect((await request('HEAD', `/api/v1/payments/${unknownIds[0]}`, { headers })).status).toBe(404)
})
