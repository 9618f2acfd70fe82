// Rate limits: all open routes share one count for each client address; other routes have no limit.
import http from 'node:http'
import {
  type AppProcess,
  openShop,
  paymentEventBody,
  seededKeys,
  startApp,
  startSystem,
  type TestSystem,
  transactionBody,
  untilKnown,
} from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'

const LIMIT = 5

let system: TestSystem
beforeAll(async () => {
  const env = { RATE_LIMIT_PER_MINUTE: String(LIMIT) }
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0, env })
})
afterAll(() => system?.stop())

interface RequestOptions {
  method?: string
  headers?: Record<string, string>
  body?: unknown
  /** The local address of this machine that sends the request. */
  from?: string
}

async function send(url: string, { method = 'GET', headers = {}, body, from }: RequestOptions = {}) {
  const request = http.request(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    agent: false,
    ...(from === undefined ? {} : { localAddress: from }),
  })
  request.end(body === undefined ? undefined : JSON.stringify(body))
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve)
    request.on('error', reject)
  })
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode!, headers: response.headers, text }
}

/** The header of a proxy on this machine. Each test uses its own addresses, since a count lasts a minute. */
const servedBy = (address: string) => ({ 'x-forwarded-for': address })
let addresses = 0
const someAddress = () => `198.51.${Math.floor(++addresses / 256)}.${addresses % 256}`
const UNKNOWN_ORDER = '/api/v1/orders/order_AAAAAAAAAAAAAAAA/public'

function expectLimited({ status, headers, text }: Awaited<ReturnType<typeof send>>): void {
  expect(status).toBe(429)
  expect(headers['content-type']).toBe('application/json; charset=utf-8')
  expect(headers['retry-after']).toMatch(/^\d+$/)
  const seconds = Number(headers['retry-after'])
  expect(seconds).toBeGreaterThanOrEqual(1)
  expect(seconds).toBeLessThanOrEqual(60)
  expect(JSON.parse(text)).toEqual({
    error: {
      code: 'RATE_LIMIT_ERROR',
      description: expect.stringContaining('Too many requests from this address'),
      request_id: expect.any(String),
    },
  })
}

/** The statuses of `count` requests from one address, in turn. */
async function statuses(url: string, count: number, options: RequestOptions): Promise<number[]> {
  const received: number[] = []
  for (let n = 0; n < count; n++) received.push((await send(url, options)).status)
  return received
}

// A 503 counts, so the test cannot repeat a single request: it retries as a whole, from another address.
test('open routes share a count: after five requests to any of them the next request to each is refused', {
  retry: 1,
}, async () => {
  const { id } = await openShop(system.call).order()
  const headers = servedBy(someAddress())
  const { url } = system.api
  const payment = { order_id: id, method: 'upi', vpa: 'success@test' }
  const login = { email: 'test@example.com', password: 'anything' }
  const routes: [string, RequestOptions][] = [
    [`/api/v1/orders/${id}/public`, {}],
    ['/api/v1/payments/public', { method: 'POST', body: payment }],
    ['/api/v1/payments/pay_AAAAAAAAAAAAAAAA/public', {}],
    ['/api/v1/session', { method: 'POST', body: login }],
    ['/api/v1/test/merchant', {}],
    ['/api/v1/test/jobs/status', {}],
    ['/api/v1/session', { method: 'DELETE' }],
  ]
  const first: number[] = []
  for (const [path, options] of routes.slice(0, LIMIT)) {
    first.push((await send(url + path, { ...options, headers })).status)
  }
  expect(first).toEqual([200, 201, 404, 200, 200])
  const readCreated = () => system.database.query('SELECT 1 FROM payments UNION ALL SELECT 1 FROM sessions')
  const before = await readCreated()
  for (const [path, options] of routes) expectLimited(await send(url + path, { ...options, headers }))
  expect(await readCreated()).toEqual(before)
  expect((await send(url + UNKNOWN_ORDER, { headers: servedBy(someAddress()) })).status).toBe(404)
})

test('a request with an invalid body counts, too', async () => {
  const options = { method: 'POST', body: { email: 1 }, headers: servedBy(someAddress()) }
  expect(await statuses(`${system.api.url}/api/v1/session`, LIMIT + 1, options)).toEqual([
    ...Array(LIMIT).fill(400),
    429,
  ])
})

test('routes of merchants and processors, health and metrics are not limited', async () => {
  const { url } = system.api
  const headers = servedBy(someAddress())
  expect((await statuses(url + UNKNOWN_ORDER, LIMIT + 1, { headers })).at(-1)).toBe(429)
  const keys = { ...headers, ...seededKeys }
  const more = LIMIT * 3
  const order = { amount: 500, currency: 'INR' }
  const all: [string, RequestOptions, number][] = [
    ['/api/v1/orders', { headers: keys }, 200],
    ['/api/v1/orders', { method: 'POST', headers: keys, body: order }, 201],
    ['/api/v1/merchant', { headers: keys }, 200],
    ['/api/v1/stats', { headers }, 401],
    ['/v1/webhooks/transactions', { method: 'POST', headers, body: transactionBody('txn_1') }, 202],
    ['/webhooks/payment', { method: 'POST', headers, body: paymentEventBody('evt_1', 'pay_1') }, 202],
    ['/v1/transactions/txn_1', { headers }, 200],
    ['/payments', { headers }, 200],
    ['/health', { headers }, 200],
    ['/metrics', { headers }, 200],
  ]
  for (const [path, options, status] of all) {
    const received: number[] = []
    while (received.length < more) {
      received.push((await untilKnown(() => send(url + path, options))).status)
    }
    expect([path, received]).toEqual([path, Array(more).fill(status)])
  }
})

// Only Linux has all loopback addresses without setup.
describe.skipIf(process.platform !== 'linux')('behind the page server', () => {
  let pages: AppProcess
  beforeAll(async () => {
    pages = await startApp('pages', { API_URL: system.api.url }, ['dashboard'])
  })
  afterAll(() => pages?.stop())
  const path = `/_api${UNKNOWN_ORDER}`
  const refusedAfterFive = [...Array(LIMIT).fill(404), 429]

  test('two payers have separate counts', async () => {
    expect(await statuses(pages.url + path, LIMIT + 1, { from: '127.0.0.2' })).toEqual(refusedAfterFive)
    expect(await statuses(pages.url + path, LIMIT + 1, { from: '127.0.0.3' })).toEqual(refusedAfterFive)
    expectLimited(await send(pages.url + path, { from: '127.0.0.2' }))
  })

  test('a payer has one count, through the page server and without it', async () => {
    expect(await statuses(pages.url + path, LIMIT, { from: '127.0.0.4' })).toEqual(Array(LIMIT).fill(404))
    expectLimited(await send(system.api.url + UNKNOWN_ORDER, { from: '127.0.0.4' }))
  })

  test('a client cannot choose its address with a header', async () => {
    const received: number[] = []
    for (let n = 0; n <= LIMIT; n++) {
      const headers = { 'x-forwarded-for': someAddress(), forwarded: `for=${someAddress()}` }
      received.push((await send(pages.url + path, { headers, from: '127.0.0.5' })).status)
    }
    expect(received).toEqual(refusedAfterFive)
  })
})

test('X-Forwarded-For counts only from proxies on this machine and in TRUST_PROXY', async () => {
  const proxy = '203.0.113.7'
  const env = { ...system.env, TRUST_PROXY: proxy }
  const api = await startApp('api', env)
  onTestFinished(async () => void (await api.stop()))
  const through = async (chain: (n: number) => string) => {
    const received: number[] = []
    for (let n = 0; n <= LIMIT; n++) {
      const headers = { 'x-forwarded-for': chain(n) }
      received.push((await send(api.url + UNKNOWN_ORDER, { headers })).status)
    }
    return received.at(-1)
  }
  expect(await through(() => `${someAddress()}, ${proxy}`)).toBe(404)
  const stranger = someAddress()
  expect(await through(() => `${someAddress()}, ${stranger}`)).toBe(429)
  expect(await through(() => `${someAddress()}, ${stranger}, ${proxy}`)).toBe(429)
})

// Retries as a whole, since a 503 counts.
test('outside the sandbox the default limit is 600 requests a minute', { retry: 1 }, async () => {
  const api = await startApp('api', { DATABASE_URL: system.database.url, SANDBOX: 'false' })
  onTestFinished(async () => void (await api.stop()))
  const headers = servedBy(someAddress())
  const counts = new Map<number, number>()
  for (let batch = 0; batch < 25; batch++) {
    const received = await Promise.all(
      Array.from({ length: 25 }, () => send(api.url + UNKNOWN_ORDER, { headers })),
    )
    for (const { status } of received) counts.set(status, (counts.get(status) ?? 0) + 1)
  }
  expect(Object.fromEntries(counts)).toEqual({ 404: 600, 429: 25 })
})
