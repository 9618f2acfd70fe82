// A merchant's webhook settings: URL, secrets and test webhooks.
import { getMerchant, putWebhook, regenerateWebhookSecret, testWebhook } from '@sluice/contracts'
import {
  addMerchant,
  expectStatus,
  type Keys,
  seededKeys,
  startApp,
  startSystem,
  type TestSystem,
} from '@sluice/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFinished, test } from 'vitest'
import { openWebhooks } from './webhooks.fixture.ts'

const DAY_MS = 86_400_000
const GENERATED = /^whsec_[A-Za-z0-9+/]{43}=$/
const URL = 'https://shop.example/webhooks?from=sluice'

let system: TestSystem
let merchant: { id: string; email: string; keys: Keys }
let headers: ReturnType<typeof openWebhooks>['headers']
let list: ReturnType<typeof openWebhooks>['list']
let read: ReturnType<typeof openWebhooks>['read']
let put: ReturnType<typeof openWebhooks>['put']
let send: ReturnType<typeof openWebhooks>['send']
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
})
afterAll(() => system?.stop())
beforeEach(async () => {
  merchant = await addMerchant(system.database)
  ;({ headers, list, read, put, send } = openWebhooks(system, merchant))
})

const settingsOf = async () => {
  const [row] = await system.database.query<{ webhook_secret: string; previous: string[] }>(
    `SELECT webhook_url, webhook_secret,
       ARRAY(SELECT secret FROM previous_webhook_secrets WHERE merchant_id = id ORDER BY expires_at DESC) AS previous
     FROM merchants WHERE id = $1`,
    [merchant.id],
  )
  return row!
}
const regenerate = async (body: { expire_old?: boolean } = {}) =>
  expectStatus(await system.call(regenerateWebhookSecret, { headers, body }), 200)

describe('the URL', () => {
  test('is stored unchanged, with a secret for a merchant without one; null removes it and keeps the secret', async () => {
    expect(await put(null)).toEqual({ webhook_url: null, webhook_secret: null })
    const first = await put(URL)
    expect(first).toEqual({ webhook_url: URL, webhook_secret: expect.stringMatching(GENERATED) })
    const webhook_secret = first.webhook_secret
    for (const webhook_url of ['http://127.0.0.1:4000/webhook', null, 'HTTPS://Shop.Example', URL]) {
      expect(await put(webhook_url)).toEqual({ webhook_url, webhook_secret })
      expect(await settingsOf()).toMatchObject({ webhook_url, webhook_secret, previous: [] })
    }
    const profile = expectStatus(await system.call(getMerchant, { headers }), 200)
    expect(profile).toMatchObject({ webhook_url: URL, webhook_secret })
    const other = await addMerchant(system.database)
    const body = { webhook_url: URL }
    const theirs = expectStatus(await system.call(putWebhook, { headers: other.keys, body }), 200)
    expect(theirs.webhook_secret).not.toBe(webhook_secret)
  })

  test('of the seeded merchant keeps its secret', async () => {
    const body = { webhook_url: URL }
    const seeded = expectStatus(await system.call(putWebhook, { headers: seededKeys, body }), 200)
    expect(seeded).toEqual({ webhook_url: URL, webhook_secret: 'whsec_test_abc123' })
  })

  test('set twenty times at once gets one secret', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => put(URL)))
    expect(new Set(made.map(({ webhook_secret }) => webhook_secret)).size).toBe(1)
    expect(await settingsOf()).toMatchObject({ webhook_secret: made[0]!.webhook_secret })
  })

  test('has at most 2048 characters', async () => {
    const longest = `${URL}&x=`.padEnd(2048, 'x')
    expect(await put(longest)).toMatchObject({ webhook_url: longest })
  })

  test.for<[what: string, body: unknown]>([
    ['no field', {}],
    ['a number', { webhook_url: 1 }],
    ['a boolean', { webhook_url: true }],
    ['a list', { webhook_url: [URL] }],
    ['empty text', { webhook_url: '' }],
    ['no URL', { webhook_url: 'shop.example/webhooks' }],
    ['a path', { webhook_url: '/webhooks' }],
    ['no host', { webhook_url: 'https://' }],
    ['no host but a path', { webhook_url: 'https:///webhooks' }],
    ['ftp', { webhook_url: 'ftp://shop.example/webhooks' }],
    ['javascript', { webhook_url: 'javascript:alert(1)' }],
    ['a file', { webhook_url: 'file:///etc/passwd' }],
    ['credentials', { webhook_url: 'https://user:password@shop.example/' }],
    ['a user', { webhook_url: 'https://user@shop.example/' }],
    ['a fragment', { webhook_url: 'https://shop.example/#top' }],
    ['an empty fragment', { webhook_url: 'https://shop.example/#' }],
    ['a space', { webhook_url: 'https://shop.example/a b' }],
    ['white space around it', { webhook_url: ' https://shop.example/ ' }],
    ['a line break', { webhook_url: 'https://shop.example/\r\nx: y' }],
    ['NUL', { webhook_url: 'https://shop.example/\0' }],
    ['a lone surrogate', { webhook_url: 'https://shop.example/\ud800' }],
    ['backslashes', { webhook_url: 'https:\\\\shop.example' }],
    ['port 0', { webhook_url: 'https://shop.example:0/' }],
    ['a port above 65535', { webhook_url: 'https://shop.example:65536/' }],
    ['an invalid address', { webhook_url: 'https://999.1.1.1/' }],
    ['more than 2048 characters', { webhook_url: `${URL}&x=`.padEnd(2049, 'x') }],
  ])('is refused: %s', async ([, body]) => {
    const { webhook_secret } = await put('https://shop.example/before')
    const { status, error, text } = await send('PUT', '/api/v1/merchant/webhook', body)
    expect({ status, code: error?.code, field: error?.field }).toEqual({
      status: 400,
      code: 'BAD_REQUEST_ERROR',
      field: 'webhook_url',
    })
    expect(JSON.parse(text).error.description).toMatch(/^webhook_url (must|is) /)
    expect(await settingsOf()).toMatchObject({ webhook_url: 'https://shop.example/before', webhook_secret })
  })

  test('must have public addresses only while WEBHOOK_ALLOW_PRIVATE is false', async () => {
    const strict = await startApp('api', { ...system.env, WEBHOOK_ALLOW_PRIVATE: 'false' })
    onTestFinished(async () => void (await strict.stop('SIGKILL')))
    const putUrl = async (webhook_url: string) => {
      const response = await fetch(`${strict.url}/api/v1/merchant/webhook`, {
        method: 'PUT',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ webhook_url }),
      })
      const { error } = (await response.json()) as { error?: { field: string } }
      return [webhook_url, response.status, error?.field]
    }
    const hosts = [
      '127.0.0.1',
      'localhost',
      '10.0.0.1',
      '169.254.169.254',
      '100.64.0.1',
      '224.0.0.1',
      '[::1]',
    ]
    for (const host of [...hosts, '[::ffff:10.0.0.1]', '[fd00::1]', '2130706433']) {
      expect(await putUrl(`http://${host}/`)).toEqual([`http://${host}/`, 400, 'webhook_url'])
    }
    expect(await settingsOf()).toMatchObject({ webhook_url: null, webhook_secret: null })
    expect(await putUrl('https://8.8.8.8/')).toEqual(['https://8.8.8.8/', 200, undefined])
  })
})

describe('the secret', () => {
  test('that is regenerated keeps the old one for a day', async () => {
    const { webhook_secret: old } = await put(URL)
    const before = Date.now()
    const { previous_secret_expires_at: until, ...settings } = await regenerate()
    expect(settings).toEqual({ webhook_url: URL, webhook_secret: expect.stringMatching(GENERATED) })
    expect(settings.webhook_secret).not.toBe(old)
    expect(Date.parse(until!)).toBeGreaterThanOrEqual(before + DAY_MS - 5)
    expect(Date.parse(until!)).toBeLessThanOrEqual(Date.now() + DAY_MS + 5)
    expect(await settingsOf()).toMatchObject({ webhook_secret: settings.webhook_secret, previous: [old] })
    const kept = await system.database.query(
      'SELECT expires_at FROM previous_webhook_secrets WHERE secret = $1',
      [old],
    )
    expect(kept).toEqual([{ expires_at: new Date(until!) }])
  })

  test('that is regenerated repeatedly keeps each of the last five old ones for its own day', async () => {
    const secrets = [(await put(URL)).webhook_secret!]
    for (let round = 0; round < 7; round += 1) secrets.push((await regenerate()).webhook_secret!)
    const [current, ...before] = secrets.reverse()
    expect(await settingsOf()).toMatchObject({ webhook_secret: current, previous: before.slice(0, 5) })
  })

  test('that never signed webhook-signature is not kept, and its expiry is null', async () => {
    await put(URL)
    const set = (secret: string) =>
      system.database.query('UPDATE merchants SET webhook_secret = $2 WHERE id = $1', [merchant.id, secret])
    for (const secret of ['whsec_test_abc123', 'a secret of their own']) {
      await set(secret)
      expect((await regenerate()).previous_secret_expires_at).toBeNull()
    }
    const { previous } = await settingsOf()
    expect(previous).toHaveLength(0)
  })

  test('that is regenerated with expire_old ends all old ones at once', async () => {
    await put(URL)
    await regenerate()
    await regenerate()
    const last = await regenerate({ expire_old: true })
    expect(last.previous_secret_expires_at).toBeNull()
    expect(await settingsOf()).toEqual({
      webhook_url: URL,
      webhook_secret: last.webhook_secret,
      previous: [],
    })
  })

  test('is generated for a merchant without one, with no expiry', async () => {
    expect(await regenerate()).toEqual({
      webhook_url: null,
      webhook_secret: expect.stringMatching(GENERATED),
      previous_secret_expires_at: null,
    })
  })

  test('is regenerated by a request without a body, too', async () => {
    for (const more of [{}, { 'content-type': 'application/json' }]) {
      const { status, text } = await send('POST', '/api/v1/merchant/webhook/secret', undefined, {
        ...headers,
        ...more,
      })
      expect([status, JSON.parse(text).webhook_secret]).toEqual([200, expect.stringMatching(GENERATED)])
    }
  })

  test.for([
    ['expire_old', { expire_old: 'true' }],
    ['expire_old', { expire_old: null }],
    ['expire_old', { expire_old: 1 }],
    [undefined, []],
    [undefined, '{'],
  ] as const)('stays unchanged when %s is invalid: %j', async ([field, body]) => {
    const { webhook_secret } = await put(URL)
    const { status, error } = await send('POST', '/api/v1/merchant/webhook/secret', body)
    expect({ status, code: error?.code, field: error?.field }).toEqual({
      status: 400,
      code: 'BAD_REQUEST_ERROR',
      field,
    })
    expect(await settingsOf()).toMatchObject({ webhook_secret, previous: [] })
  })
})

describe('a test webhook', () => {
  test('is refused without a URL, and no row is written', async () => {
    const { status, error } = await send('POST', '/api/v1/merchant/webhook/test')
    expect({ status, code: error?.code, field: error?.field }).toEqual({
      status: 400,
      code: 'BAD_REQUEST_ERROR',
      field: 'webhook_url',
    })
    expect((await list()).total).toBe(0)
    await put(URL)
    await put(null)
    expect((await send('POST', '/api/v1/merchant/webhook/test')).status).toBe(400)
    expect((await list()).total).toBe(0)
  })

  test('is one row, due now, with a sample payment', async () => {
    await put(URL)
    const before = Date.now()
    expect(expectStatus(await system.call(testWebhook, { headers }), 200)).toEqual({
      message: 'Test webhook scheduled',
    })
    const { data, total } = await list()
    expect(total).toBe(1)
    const [webhook] = data as [(typeof data)[0]]
    expect(webhook).toMatchObject({ event: 'webhook.test', status: 'pending', attempts: 0 })
    expect(webhook).toMatchObject({ last_attempt_at: null, response_code: null, response_body: null })
    expect(webhook.next_retry_at).toBe(webhook.created_at)
    expect(Date.parse(webhook.created_at)).toBeGreaterThanOrEqual(before - 5)
    const [row] = await system.database.query(
      'SELECT payload::text AS text FROM webhook_logs WHERE id = $1',
      [webhook.id],
    )
    const payload = JSON.parse(row!.text)
    expect(JSON.stringify(payload)).toBe(row!.text)
    expect(Object.keys(payload)).toEqual(['event', 'timestamp', 'data'])
    expect(Math.abs(payload.timestamp * 1000 - before)).toBeLessThan(5000)
    expect(payload).toMatchObject({ event: 'webhook.test', data: { payment: { status: 'success' } } })
    expect(payload.data.payment.updated_at).toMatch(/\.\d{3}Z$/)
    expect((await read(webhook.id)).payload).toEqual(payload)
  })
})
