// Outside the sandbox a merchant reads only its own inbound events; in the sandbox everyone reads all of them.
import { randomBytes } from 'node:crypto'
import {
  addMerchant,
  type Keys,
  paymentEventBody,
  seededKeys,
  startApp,
  startSystem,
  type TestSystem,
  transactionBody,
  untilKnown,
  waitFor,
} from '@sluice/testing'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'

const SECRET = `whsec_${randomBytes(32).toString('base64')}`
const NO_SUMMARY = { counts: { pending: 0, completed: 0, failed: 0, refunded: 0 }, totals: [] }

let system: TestSystem
let payer: { email: string; keys: Keys }
let payee: { email: string; keys: Keys }
let stranger: { email: string; keys: Keys }
beforeAll(async () => {
  // The operator sets the sandbox's keys: without that they are refused outside the sandbox.
  const keys = { TEST_API_KEY: seededKeys['x-api-key'], TEST_API_SECRET: seededKeys['x-api-secret'] }
  const env = { SANDBOX: 'false', INBOUND_WEBHOOK_SECRET: SECRET, ...keys }
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0, env })
  payer = await addMerchant(system.database, { accounts: ['acc_payer', 'acc_payer:2'] })
  payee = await addMerchant(system.database, { accounts: ['acc_payee'] })
  stranger = await addMerchant(system.database, { accounts: ['acc_stranger'] })
  const between = (id: string, source_account: string, destination_account: string) =>
    postEvent('/v1/webhooks/transactions', transactionBody(id, { source_account, destination_account }))
  await between('txn_between', 'acc_payer', 'acc_payee')
  await between('txn_own', 'acc_payer', 'acc_payer:2')
  await between('txn_out', 'acc_payer:2', 'acc_elsewhere')
  await between('txn_elsewhere', 'acc_elsewhere', 'ACC_PAYER')
  // The accounts of a contradicting event give its merchant no access.
  for (const id of ['txn_between', 'txn_elsewhere']) await between(id, 'acc_stranger', 'acc_stranger')
  await postEvent('/webhooks/payment', paymentEventBody('evt_1', 'pay_ext'))
  await postEvent('/webhooks/payment', paymentEventBody('evt_1', 'pay_ext', { amount: 1 }))
  await postEvent('/webhooks/payment', paymentEventBody('evt_2', 'pay_ext', { user_id: 'user_other' }))
})
afterAll(() => system?.stop())

/** Posts an event with a signature, as a processor does. */
async function postEvent(url: string, body: object): Promise<void> {
  const text = JSON.stringify(body)
  const at = new Date()
  const headers = {
    'content-type': 'application/json',
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(SECRET).sign('msg_1', at, text),
  }
  const response = await untilKnown(() =>
    fetch(system.api.url + url, { method: 'POST', headers, body: text }),
  )
  expect([response.status, await response.text()]).toMatchObject([202, expect.anything()])
}

interface JsonResponse {
  status: number
  headers: Headers
  body: unknown
}

async function get(
  path: string,
  headers: Record<string, string> = {},
  url = system.api.url,
): Promise<JsonResponse> {
  const response = await fetch(url + path, { headers })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

/** The ids of a list, and its total. */
async function listed(path: string, id: string, headers: Record<string, string>, url = system.api.url) {
  const { status, body } = await get(path, headers, url)
  expect(status).toBe(200)
  const { data, total } = body as { data: Record<string, unknown>[]; total: number }
  return { ids: data.map((row) => row[id]).sort(), total }
}

const notFound = (what: string) => ({
  error: { code: 'NOT_FOUND_ERROR', description: `${what} not found`, request_id: expect.any(String) },
})

async function openStream(headers: Record<string, string>, url = system.api.url) {
  const stop = new AbortController()
  const response = await fetch(`${url}/payments/stream`, { headers, signal: stop.signal })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  let received = ''
  const reading = (async () => {
    for await (const chunk of response.body!) received += Buffer.from(chunk).toString()
  })().catch(() => {})
  return {
    received: () => received,
    changes: () => received.split('event: change\n').length - 1,
    async stop() {
      stop.abort()
      await reading
    },
  }
}

const reads = [
  '/v1/transactions',
  '/v1/transactions/txn_between',
  '/v1/transactions/txn_unknown',
  '/payments',
  '/payments?status=completed',
  '/payments/summary',
  '/payments/stream',
  '/payments/pay_ext/events',
  '/payments/pay_unknown/events',
  '/api/v1/conflicts',
]

describe('outside the sandbox', () => {
  test.each(reads)('%s is 401 without credentials and with wrong credentials', async (path) => {
    const wrong = { ...seededKeys, 'x-api-secret': 'wrong' }
    for (const headers of [{}, wrong]) {
      const { status, body } = await get(path, headers)
      const error = { code: 'AUTHENTICATION_ERROR', description: 'Invalid API credentials' }
      expect([status, body]).toEqual([401, { error: { ...error, request_id: expect.any(String) } }])
    }
  })

  test.each(['/api/v1/test/merchant', '/api/v1/test/jobs/status'])('%s does not exist', async (path) => {
    for (const headers of [{}, seededKeys]) {
      const { status, body } = await get(path, headers)
      expect([status, body]).toMatchObject([404, { error: { code: 'NOT_FOUND_ERROR' } }])
    }
    const document = (await get('/openapi.json')).body as { paths: object }
    expect(Object.keys(document.paths)).not.toContain(path)
  })

  test('merchants can read a transaction if it names one of their accounts, as source or destination', async () => {
    const visible: [string, Keys, string[]][] = [
      ['payer', payer.keys, ['txn_between', 'txn_out', 'txn_own']],
      ['payee', payee.keys, ['txn_between']],
      ['stranger', stranger.keys, []],
    ]
    for (const [who, keys, ids] of visible) {
      const list = await listed('/v1/transactions', 'transaction_id', keys)
      expect([who, list]).toEqual([who, { ids, total: ids.length }])
      for (const id of ['txn_between', 'txn_own', 'txn_out', 'txn_elsewhere', 'txn_unknown']) {
        const { status, headers, body } = await get(`/v1/transactions/${id}`, keys)
        expect([who, id, status]).toEqual([who, id, ids.includes(id) ? 200 : 404])
        expect(headers.get('cache-control')).toBe('no-store')
        if (status === 404) expect(body).toEqual(notFound('Transaction'))
      }
    }
  })

  test('pages and totals count visible transactions only', async () => {
    const { body } = await get('/v1/transactions?limit=2&offset=1', payer.keys)
    expect(body).toMatchObject({ total: 3, limit: 2, offset: 1 })
    expect((body as { data: unknown[] }).data).toHaveLength(2)
  })

  test('access changes as soon as an account is added to a merchant or removed from it', async () => {
    const newcomer = await addMerchant(system.database)
    const statusOf = async () => (await get('/v1/transactions/txn_elsewhere', newcomer.keys)).status
    expect(await statusOf()).toBe(404)
    await system.database.query('INSERT INTO merchant_accounts (account, merchant_id) VALUES ($1, $2)', [
      'acc_elsewhere',
      newcomer.id,
    ])
    expect(await statusOf()).toBe(200)
    await system.database.query('DELETE FROM merchant_accounts WHERE merchant_id = $1', [newcomer.id])
    expect(await statusOf()).toBe(404)
  })

  test('merchants can read a conflict if the first event names their account, not if only the contradicting event does', async () => {
    const conflicts = (keys: Keys) => listed('/api/v1/conflicts', 'id', keys)
    expect(await conflicts(payer.keys)).toEqual({ ids: ['txn_between'], total: 1 })
    expect(await conflicts(payee.keys)).toEqual({ ids: ['txn_between'], total: 1 })
    expect(await conflicts(stranger.keys)).toEqual({ ids: [], total: 0 })
  })

  const expectExternalPayments = async (keys: Keys, url = system.api.url) => {
    const { status, headers, body } = await get('/payments', keys, url)
    expect([status, headers.get('x-total-count')]).toEqual([200, '1'])
    expect(body).toMatchObject([{ payment_id: 'pay_ext' }])
    const summary = await get('/payments/summary', keys, url)
    expect(summary.body).toMatchObject({ counts: { completed: 1 }, totals: [{ count: 1 }] })
    expect((await get('/payments/pay_ext/events', keys, url)).body).toHaveLength(2)
    const { ids } = await listed('/api/v1/conflicts', 'id', keys, url)
    expect(ids).toEqual(['evt_1', 'pay_ext'])
  }

  const expectNoExternalPayments = async (keys: Keys, url = system.api.url) => {
    for (const query of ['', '?status=completed']) {
      const { status, headers, body } = await get(`/payments${query}`, keys, url)
      expect([status, headers.get('x-total-count'), body]).toEqual([200, '0', []])
      const summary = await get(`/payments/summary${query}`, keys, url)
      expect([summary.status, summary.body]).toEqual([200, NO_SUMMARY])
    }
    for (const id of ['pay_ext', 'pay_unknown']) {
      const { status, headers, body } = await get(`/payments/${id}/events`, keys, url)
      expect([status, body, headers.get('x-total-count')]).toEqual([404, notFound('Payment'), null])
    }
    const { ids } = await listed('/api/v1/conflicts', 'id', keys, url)
    expect(ids.filter((id) => id !== 'txn_between')).toEqual([])
  }

  test('only the seeded merchant can read external payments and their conflicts', async () => {
    await expectExternalPayments(seededKeys)
    await expectNoExternalPayments(payer.keys)
    await expectNoExternalPayments(stranger.keys)
  })

  test('with EXTERNAL_PAYMENTS_MERCHANT only that merchant can read external payments and their conflicts', async () => {
    const env = { ...system.env, EXTERNAL_PAYMENTS_MERCHANT: payee.email.toUpperCase() }
    const api = await startApp('api', env)
    onTestFinished(async () => void (await api.stop()))
    const { ids } = await listed('/api/v1/conflicts', 'id', payee.keys, api.url)
    expect(ids).toEqual(['evt_1', 'pay_ext', 'txn_between'])
    await expectNoExternalPayments(seededKeys, api.url)
    await expectNoExternalPayments(stranger.keys, api.url)
    expect((await get('/payments', payee.keys, api.url)).body).toMatchObject([{ payment_id: 'pay_ext' }])
  })

  test('with an unknown e-mail in EXTERNAL_PAYMENTS_MERCHANT no merchant can read external payments', async () => {
    const api = await startApp('api', { ...system.env, EXTERNAL_PAYMENTS_MERCHANT: 'none@example.com' })
    onTestFinished(async () => void (await api.stop()))
    await expectNoExternalPayments(seededKeys, api.url)
  })
})

describe('in the sandbox', () => {
  test('every reader gets all inbound events, with any credentials or none', async () => {
    const api = await startApp('api', { ...system.env, SANDBOX: 'true' })
    onTestFinished(async () => void (await api.stop()))
    const wrong = { ...seededKeys, 'x-api-secret': 'wrong' }
    for (const headers of [{}, stranger.keys, wrong]) {
      const transactions = await listed('/v1/transactions', 'transaction_id', headers, api.url)
      expect(transactions).toEqual({ ids: ['txn_between', 'txn_elsewhere', 'txn_out', 'txn_own'], total: 4 })
      expect((await get('/v1/transactions/txn_elsewhere', headers, api.url)).status).toBe(200)
      const conflicts = await listed('/api/v1/conflicts', 'id', headers, api.url)
      expect(conflicts).toEqual({ ids: ['evt_1', 'pay_ext', 'txn_between', 'txn_elsewhere'], total: 4 })
      expect((await get('/payments', headers, api.url)).body).toMatchObject([{ payment_id: 'pay_ext' }])
      expect((await get('/payments/summary', headers, api.url)).body).not.toEqual(NO_SUMMARY)
      expect((await get('/payments/pay_ext/events', headers, api.url)).status).toBe(200)
      const stream = await openStream(headers, api.url)
      await stream.stop()
      expect((await get('/api/v1/test/merchant', headers, api.url)).body).toMatchObject({ seeded: true })
      // The response is 503 until the API is connected to the queue.
      await waitFor('the state of the jobs', async () => {
        return (await get('/api/v1/test/jobs/status', headers, api.url)).status === 200
      })
    }
  })
})

// The last test, since it adds payments.
test('outside the sandbox the stream sends changes of external payments only to their merchant', async () => {
  const [owner, other] = [await openStream(seededKeys), await openStream(stranger.keys)]
  // Two changes that reach the owner: by then the other merchant would have received one.
  for (let n = 0; owner.changes() < 3; n++) {
    const before = owner.changes()
    await postEvent('/webhooks/payment', paymentEventBody(`evt_stream_${n}`, `pay_stream_${n}`))
    await waitFor("the owner's notice", () => owner.changes() > before)
  }
  expect(other.received()).not.toContain('event:')
  await Promise.all([owner.stop(), other.stop()])
})
