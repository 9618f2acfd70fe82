// Merchants cannot reach each other's objects: a table of every route of the API, which fails for unlisted routes.
import { randomBytes } from 'node:crypto'
import { createPayment, createPublicPayment, getStats, listOrders, listPayments } from '@sluice/contracts'
import {
  addMerchant,
  createDatabase,
  expectStatus,
  type Keys,
  openShop,
  paymentEventBody,
  type Shop,
  startSystemOn,
  type TestSystem,
  transactionBody,
  waitFor,
} from '@sluice/testing'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

const SECRET = `whsec_${randomBytes(32).toString('base64')}`
/** Well-formed ids of no object. A response equal to theirs reveals nothing. */
const unknown = {
  order: 'order_AAAAAAAAAAAAAAAA',
  payment: 'pay_AAAAAAAAAAAAAAAA',
  refund: 'rfnd_AAAAAAAAAAAAAAAA',
  transaction: 'txn_unknown',
  external: 'ext_unknown',
  webhook: '00000000-0000-4000-8000-000000000000',
}
type Kind = keyof typeof unknown

let system: TestSystem
let mine: Shop
let theirs: Shop
let theirMerchantId: string
/** The ids of merchant A's objects, of each kind in every state. */
let ids: Record<Kind, string[]>
const theirKey = 'the-same-key-for-both'

beforeAll(async () => {
  const database = await createDatabase(inject('postgresUrl'))
  const a = await addMerchant(database, { accounts: ['acc_a'] })
  const b = await addMerchant(database)
  const env = {
    SANDBOX: 'false',
    INBOUND_WEBHOOK_SECRET: SECRET,
    EXTERNAL_PAYMENTS_MERCHANT: a.email,
    UPI_SUCCESS_RATE: '1',
    CARD_SUCCESS_RATE: '0',
  }
  system = await startSystemOn(database, { env })
  theirs = openShop(system.call, a.keys)
  theirMerchantId = a.id
  mine = openShop(system.call, b.keys)
  ids = { ...(await fillShop(theirs)), webhook: await addWebhooks(a.id) }
})
afterAll(() => system?.stop())

/** Stops the worker at the end, so that pending objects stay pending. */
async function fillShop(shop: Shop): Promise<Record<Exclude<Kind, 'webhook'>, string[]>> {
  const { headers } = shop
  const success = await shop.paid()
  const captured = await shop.paid()
  await send('POST', `/api/v1/payments/${captured.id}/capture`, headers, { amount: captured.amount })
  const unpaid = await shop.order()
  const card = { number: '4242424242424242', expiry_month: '12', expiry_year: '2099', cvv: '123' }
  const body = { order_id: unpaid.id, method: 'card' as const, card: { ...card, holder_name: 'A' } }
  const keyed = { ...headers, 'idempotency-key': theirKey }
  const failed = await shop.settled(
    expectStatus(await system.call(createPayment, { headers: keyed, body }), 201).id,
  )
  expect(failed.status).toBe('failed')
  const processed = await shop.refundSettled((await shop.refund(success.id, 100)).id)
  const accounts = { source_account: 'acc_a', destination_account: 'acc_b' }
  await postEvent('/v1/webhooks/transactions', transactionBody('txn_a', accounts))
  await postEvent('/v1/webhooks/transactions', transactionBody('txn_a', { ...accounts, amount: 2 }))
  await postEvent('/webhooks/payment', paymentEventBody('evt_a', 'ext_a'))
  await waitFor('the transaction to be processed', async () => {
    const { text } = await send('GET', '/v1/transactions/txn_a', headers)
    return text.includes('PROCESSED')
  })
  await Promise.all(system.workers.map((worker) => worker.stop()))
  const waiting = await shop.refund(success.id, 200)
  const pending = await shop.pay((await shop.order()).id)
  return {
    order: [unpaid.id, success.order_id, pending.order_id],
    payment: [success.id, captured.id, failed.id, pending.id],
    refund: [processed.id, waiting.id],
    transaction: ['txn_a'],
    external: ['ext_a'],
  }
}

/** One webhook in every state. No worker runs that could change them. */
async function addWebhooks(merchantId: string): Promise<string[]> {
  const rows = await system.database.query<{ id: string }>(
    `INSERT INTO webhook_logs (merchant_id, event, payload, status, attempts, attempt_number, next_retry_at, request_id, settled_at)
     SELECT $1, 'payment.success', '{}', status, 1, 1, CASE WHEN status = 'pending' THEN now() END, 'x',
       CASE WHEN status <> 'pending' THEN now() END
     FROM unnest(ARRAY['pending', 'success', 'failed']) AS status RETURNING id`,
    [merchantId],
  )
  return rows.map(({ id }) => id)
}

async function postEvent(url: string, body: object): Promise<void> {
  const text = JSON.stringify(body)
  const at = new Date()
  const response = await fetch(system.api.url + url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(SECRET).sign('msg_1', at, text),
    },
    body: text,
  })
  expect(response.status).toBe(202)
}

async function send(method: string, path: string, headers: Record<string, string>, body?: unknown) {
  const response = await fetch(system.api.url + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

/** The parts of a response that do not vary between requests: without request id, its length and the time. */
const comparable = ({ status, headers, text }: Awaited<ReturnType<typeof send>>) => ({
  status,
  headers: [...headers].filter(([name]) => !['date', 'keep-alive', 'content-length'].includes(name)),
  text: text.replace(/"request_id":"[^"]*"/, '"request_id":""'),
})

/** A request that contains an id. */
interface RequestWithId {
  path: string
  /** Without it, POST with a body and GET without one. */
  method?: 'POST'
  body?: unknown
}
const methodOf = ({ method, body }: RequestWithId) => method ?? (body === undefined ? 'GET' : 'POST')
interface WithId {
  kind: Kind
  requestsFor: (id: string) => RequestWithId[]
  /** A list that the id filters; other routes respond 404. */
  isList?: true
}

/** By operationId. A text explains why another merchant's id is impossible or allowed. */
const routes: Record<string, WithId | string> = {
  getRoot: 'takes no id',
  getLive: 'takes no id',
  getHealth: 'takes no id',
  getApiHealth: 'takes no id',
  postTransaction: 'a processor’s: signed, and its response reveals nothing that is known',
  postPaymentEvent: 'a processor’s: signed',
  getTransaction: { kind: 'transaction', requestsFor: (id) => [{ path: `/v1/transactions/${id}` }] },
  listTransactions: 'takes no id; what it lists is below, and in visibility.int.test.ts',
  listExternalPayments: 'takes no id; see visibility.int.test.ts',
  getExternalPaymentsSummary: 'takes no id; see visibility.int.test.ts',
  streamExternalPayments: 'takes no id; see visibility.int.test.ts',
  listPaymentEvents: { kind: 'external', requestsFor: (id) => [{ path: `/payments/${id}/events` }] },
  listConflicts: 'takes no id; see visibility.int.test.ts',
  getMerchant: 'takes no id; its response is below',
  createSession: 'takes no id; see sessions.int.test.ts',
  deleteSession: 'takes no id; see sessions.int.test.ts',
  createOrder: 'takes no id; its idempotency keys are below',
  listOrders: 'takes no id; what it lists is below',
  getOrder: { kind: 'order', requestsFor: (id) => [{ path: `/api/v1/orders/${id}` }] },
  getPublicOrder: 'its payers’: a caller with the id may pay',
  createPayment: {
    kind: 'order',
    requestsFor: (order_id) => [
      { path: '/api/v1/payments', body: { order_id, method: 'upi', vpa: 'b@bank' } },
      {
        path: '/api/v1/payments',
        body: {
          order_id,
          method: 'card',
          card: {
            number: '4242424242424242',
            expiry_month: '12',
            expiry_year: '2099',
            cvv: '123',
            holder_name: 'B',
          },
        },
      },
    ],
  },
  createPublicPayment: 'its payers’: a caller with the id may pay',
  listPayments: {
    kind: 'order',
    requestsFor: (id) => [
      { path: `/api/v1/payments?order_id=${id}` },
      { path: `/api/v1/payments?search=${id}` },
      { path: `/api/v1/payments?status=failed&order_id=${id}` },
    ],
    isList: true,
  },
  getPayment: { kind: 'payment', requestsFor: (id) => [{ path: `/api/v1/payments/${id}` }] },
  getPublicPayment: 'its payers’: a caller with the id may read the outcome',
  getPaymentTimeline: { kind: 'payment', requestsFor: (id) => [{ path: `/api/v1/payments/${id}/timeline` }] },
  capturePayment: {
    kind: 'payment',
    requestsFor: (id) => [
      { path: `/api/v1/payments/${id}/capture`, body: { amount: 50_000 } },
      { path: `/api/v1/payments/${id}/capture`, body: { amount: 1 } },
    ],
  },
  getStats: 'takes no id; what it counts is below',
  createRefund: {
    kind: 'payment',
    requestsFor: (id) => [
      { path: `/api/v1/payments/${id}/refunds`, body: { amount: 1 } },
      { path: `/api/v1/payments/${id}/refunds`, body: { amount: 999_999, reason: 'too much' } },
    ],
  },
  listRefunds: { kind: 'payment', requestsFor: (id) => [{ path: `/api/v1/payments/${id}/refunds` }] },
  getRefund: { kind: 'refund', requestsFor: (id) => [{ path: `/api/v1/refunds/${id}` }] },
  listWebhooks: 'takes no id; what it lists is below',
  getWebhook: { kind: 'webhook', requestsFor: (id) => [{ path: `/api/v1/webhooks/${id}` }] },
  retryWebhook: {
    kind: 'webhook',
    requestsFor: (id) => [{ path: `/api/v1/webhooks/${id}/retry`, method: 'POST' }],
  },
  replayWebhooks: 'takes no id; what it replays is below',
  putWebhook: 'takes no id; whose settings these are is below',
  regenerateWebhookSecret: 'takes no id; whose settings these are is below',
  testWebhook: 'takes no id; see webhooks.int.test.ts',
  streamChanges: 'takes no id; sends no data',
}
const withId = Object.entries(routes).filter(
  (entry): entry is [string, WithId] => typeof entry[1] !== 'string',
)

/** All rows of the gateway's tables. */
async function everything(): Promise<unknown> {
  const tables = [
    'orders',
    'payments',
    'refunds',
    'payment_log',
    'idempotency_keys',
    'transactions',
    'sessions',
    'webhook_logs',
    'webhook_attempts',
  ]
  const dumps = tables.map((table) =>
    system.database.query(`SELECT '${table}' AS "table", t::text FROM ${table} t ORDER BY 2`),
  )
  return Promise.all(dumps)
}

test('the table lists every route of the API, with an entry for each route with an id', async () => {
  const { paths } = JSON.parse((await send('GET', '/openapi.json', {})).text) as OpenApi
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.values(methods).map((operation) => ({ path, ...operation })),
  )
  expect(Object.keys(routes).sort()).toEqual(operations.map(({ operationId }) => operationId).sort())
  for (const { path, operationId, parameters = [], requestBody } of operations) {
    const { properties = {} } = requestBody?.content['application/json']?.schema ?? {}
    const fields = [...parameters.map(({ name }) => name), ...Object.keys(properties)]
    if (!path.includes('{') && !fields.some((name) => /(^|_)id$/i.test(name))) continue
    const isExcused = /^(its payers’|a processor’s): /.test(String(routes[operationId]))
    expect([operationId, isExcused || typeof routes[operationId]]).toEqual([
      operationId,
      isExcused || 'object',
    ])
  }
})

describe('another merchant’s id gets the same response as an unknown one, without an effect', () => {
  for (const [operationId, { kind, requestsFor, isList }] of withId) {
    const sendAll = async (id: string, headers: Keys) => {
      const responses = []
      for (const request of requestsFor(id)) {
        responses.push(await send(methodOf(request), request.path, headers, request.body))
        // An idempotency key of the other merchant, or a new one, makes no difference.
        if (request.body === undefined) continue
        for (const key of [theirKey, `fresh-${operationId}`]) {
          const keyed = { ...headers, 'idempotency-key': key }
          responses.push(await send('POST', request.path, keyed, request.body))
        }
      }
      return responses
    }

    test(operationId, async () => {
      const before = await everything()
      const expected = (await sendAll(unknown[kind], mine.headers)).map(comparable)
      for (const { status } of expected) expect(status).toBe(isList ? 200 : 404)
      for (const id of ids[kind]) {
        expect((await sendAll(id, mine.headers)).map(comparable)).toEqual(expected)
      }
      expect(await everything()).toEqual(before)
    })
  }

  test('merchant A gets another response on each route: the requests are valid', async () => {
    for (const [operationId, { kind, requestsFor, isList }] of withId) {
      for (const id of ids[kind]) {
        const [first] = requestsFor(id)
        const { status, text } = await send(methodOf(first!), first!.path, theirs.headers, first!.body)
        expect([operationId, status]).not.toEqual([operationId, 404])
        if (isList) expect(JSON.parse(text).total, operationId).toBeGreaterThan(0)
      }
    }
  })
})

describe('routes without an id', () => {
  test('lists, sums and the profile of B contain no data of A', async () => {
    const { headers } = mine
    expect(expectStatus(await system.call(listOrders, { headers }), 200)).toMatchObject({
      data: [],
      total: 0,
    })
    for (const query of [
      {},
      { status: 'success' as const },
      { method: 'upi' as const },
      { search: 'pay_' },
    ]) {
      const payments = expectStatus(await system.call(listPayments, { headers, query }), 200)
      expect(payments).toMatchObject({ data: [], total: 0 })
    }
    const stats = expectStatus(await system.call(getStats, { headers }), 200)
    expect(stats).toMatchObject({ total_transactions: 0, total_amount: [], success_rate: 0 })
    expect(stats.payments_by_day.filter(({ total }) => total > 0)).toEqual([])
    expect(stats.by_method.filter(({ total }) => total > 0)).toEqual([])
    const paths = [
      '/v1/transactions',
      '/payments',
      '/payments/summary',
      '/api/v1/conflicts',
      '/api/v1/merchant',
    ]
    const lists = ['/api/v1/orders', '/api/v1/payments', '/api/v1/webhooks', '/api/v1/stats']
    for (const path of [...lists, ...paths]) {
      const { status, text } = await send('GET', path, headers)
      expect([path, status]).toEqual([path, 200])
      for (const id of [...Object.values(ids).flat(), ...Object.values(theirs.headers)]) {
        expect(text, path).not.toContain(id)
      }
    }
    const theirOrders = expectStatus(await system.call(listOrders, { headers: theirs.headers }), 200)
    expect(theirOrders.total).toBeGreaterThan(0)
  })

  test('a replay and the webhook settings of B do not change A’s webhooks', async () => {
    await addWebhooks(theirMerchantId)
    const settingsOfA = async () => (await send('GET', '/api/v1/merchant', theirs.headers)).text
    const profile = await settingsOfA()
    const url = { webhook_url: 'https://8.8.8.8/b' }
    expect((await send('PUT', '/api/v1/merchant/webhook', mine.headers, url)).status).toBe(200)
    const before = await everything()
    const replay = { since: '2000-01-01' }
    const { text } = await send('POST', '/api/v1/webhooks/replay', mine.headers, replay)
    expect(JSON.parse(text)).toEqual({ matched: 0, scheduled: 0, spread_seconds: 0, next_since: null })
    expect(await everything()).toEqual(before)
    expect((await send('POST', '/api/v1/merchant/webhook/secret', mine.headers, {})).status).toBe(200)
    expect(await settingsOfA()).toBe(profile)
    await send('PUT', '/api/v1/merchant/webhook', mine.headers, { webhook_url: null })
    const dry = await send('POST', '/api/v1/webhooks/replay', theirs.headers, { ...replay, dry_run: true })
    expect(JSON.parse(dry.text).matched).toBeGreaterThanOrEqual(2)
  })

  test('one idempotency key of two merchants is two keys', async () => {
    const body = { amount: 12_345, currency: 'INR', receipt: 'same', notes: { of: 'both' } }
    const create = async (keys: Keys) => {
      const { status, headers, text } = await send(
        'POST',
        '/api/v1/orders',
        { ...keys, 'idempotency-key': 'orders-of-both' },
        body,
      )
      return { status, replayed: headers.get('idempotent-replayed'), text }
    }
    const [first, other] = [await create(theirs.headers), await create(mine.headers)]
    expect([first.status, other.status, other.replayed]).toEqual([201, 201, null])
    expect(JSON.parse(other.text).id).not.toBe(JSON.parse(first.text).id)
    expect(JSON.parse(other.text).merchant_id).not.toBe(JSON.parse(first.text).merchant_id)
    for (const [keys, { text }] of [
      [theirs.headers, first],
      [mine.headers, other],
    ] as const) {
      expect(await create(keys)).toEqual({ status: 201, replayed: 'true', text })
    }
  })

  test('the same key of a merchant and of payers of each order is a separate key each time', async () => {
    const [order, other] = [await mine.order(), await mine.order()]
    const headers = { 'idempotency-key': 'merchant-and-payers' }
    const pay = (order_id: string) => ({ order_id, method: 'upi' as const, vpa: 'payer@bank' })
    const made = [
      expectStatus(
        await system.call(createPayment, { headers: { ...headers, ...mine.headers }, body: pay(order.id) }),
        201,
      ),
      expectStatus(await system.call(createPublicPayment, { headers, body: pay(order.id) }), 201),
      expectStatus(await system.call(createPublicPayment, { headers, body: pay(other.id) }), 201),
    ]
    expect(new Set(made.map(({ id }) => id)).size).toBe(3)
    expect(made[1]).not.toHaveProperty('vpa')
  })
})

interface OpenApi {
  paths: Record<
    string,
    Record<
      string,
      {
        operationId: string
        parameters?: { name: string }[]
        requestBody?: { content: Record<string, { schema: { properties?: object } }> }
      }
    >
  >
}
