// Access to all webhook routes: by API keys, or by the dashboard's session.
import { addMerchant, type Keys, startSystem, type TestSystem } from '@sluice/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { openWebhooks } from './webhooks.fixture.ts'

const DASHBOARD = 'http://dashboard.example:3000'
const URL = 'https://shop.example/webhooks?from=sluice'

let system: TestSystem
let merchant: { id: string; email: string; keys: Keys }
let headers: ReturnType<typeof openWebhooks>['headers']
let addWebhook: ReturnType<typeof openWebhooks>['addWebhook']
let read: ReturnType<typeof openWebhooks>['read']
let send: ReturnType<typeof openWebhooks>['send']
beforeAll(async () => {
  const env = { PUBLIC_DASHBOARD_URL: DASHBOARD }
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0, env })
})
afterAll(() => system?.stop())
beforeEach(async () => {
  merchant = await addMerchant(system.database)
  ;({ headers, addWebhook, read, send } = openWebhooks(system, merchant))
})

const settings = () =>
  system.database.query(
    `SELECT webhook_url, webhook_secret,
       ARRAY(SELECT secret FROM previous_webhook_secrets WHERE merchant_id = id) AS previous
     FROM merchants WHERE id = $1`,
    [merchant.id],
  )

describe('access', () => {
  const routes = (id: string): [method: string, path: string, body?: unknown][] => [
    ['GET', '/api/v1/webhooks'],
    ['GET', `/api/v1/webhooks/${id}`],
    ['POST', `/api/v1/webhooks/${id}/retry`],
    ['POST', '/api/v1/webhooks/replay', { since: '2024-01-01' }],
    ['PUT', '/api/v1/merchant/webhook', { webhook_url: 'http://127.0.0.1:4000/webhook' }],
    ['POST', '/api/v1/merchant/webhook/secret', {}],
    ['POST', '/api/v1/merchant/webhook/test'],
  ]

  test('is refused without credentials, with wrong ones, and to an inactive merchant', async () => {
    const { id } = await addWebhook({ status: 'failed' })
    const before = await settings()
    const [inactive] = [await addMerchant(system.database)]
    await system.database.query('UPDATE merchants SET is_active = false WHERE id = $1', [inactive!.id])
    for (const [method, path, body] of routes(id)) {
      for (const wrong of [{}, { ...headers, 'x-api-secret': 'wrong' }, inactive!.keys]) {
        const { status, error } = await send(method, path, body, wrong as Record<string, string>)
        expect([method, path, status, error?.code]).toEqual([method, path, 401, 'AUTHENTICATION_ERROR'])
      }
    }
    expect((await read(id)).status).toBe('failed')
    expect(await settings()).toEqual(before)
  })

  test('by the dashboard’s session allows reads from any Origin, and writes from the dashboard’s Origin only', async () => {
    const login = await fetch(`${system.api.url}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'test@example.com', password: 'anything' }),
    })
    const cookie = login.headers.getSetCookie()[0]!.split(';')[0]!
    const [seeded] = await system.database.query<{ id: string }>(
      `UPDATE merchants SET webhook_url = $1 WHERE email = 'test@example.com' RETURNING id`,
      [URL],
    )
    const { id } = await addWebhook({ status: 'failed' }, seeded!.id)
    for (const [method, path, body] of routes(id)) {
      const isRead = method === 'GET'
      for (const origin of [undefined, 'https://elsewhere.example', 'null']) {
        const from = { cookie, ...(origin === undefined ? {} : { origin }) }
        const { status } = await send(method, path, body, from)
        expect([method, path, origin, status]).toEqual([method, path, origin, isRead ? 200 : 401])
      }
    }
    const untouched = await system.database.query(
      `SELECT w.status, m.webhook_url, m.webhook_secret, (SELECT count(*)::int FROM webhook_logs WHERE merchant_id = m.id) AS n
       FROM merchants m JOIN webhook_logs w ON w.merchant_id = m.id WHERE m.id = $1`,
      [seeded!.id],
    )
    expect(untouched).toEqual([
      { status: 'failed', webhook_url: URL, webhook_secret: 'whsec_test_abc123', n: 1 },
    ])
    for (const [method, path, body] of routes(id)) {
      const { status, headers } = await send(method, path, body, { cookie, origin: DASHBOARD })
      expect([method, path, status]).toEqual([method, path, 200])
      expect(headers.get('cache-control')).toBe('no-store')
    }
  })
})
