// Merchant authentication: by key and secret, or by the dashboard's session cookie.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { SESSION_COOKIE } from '@sluice/contracts'
import {
  type AppProcess,
  addMerchant,
  type Keys,
  SEEDED_MERCHANT_ID,
  seededKeys,
  startApp,
  startSystem,
  type TestSystem,
  untilKnown,
} from '@sluice/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFinished, test } from 'vitest'

const DASHBOARD = 'http://dashboard.example:3000'
const PASSWORD = 'correct horse'
const credentialsError = (code: string, description: string) => ({
  error: { code, description, request_id: expect.any(String) },
})
const invalidCredentials = credentialsError('AUTHENTICATION_ERROR', 'Invalid API credentials')
const needsOrigin = credentialsError(
  'AUTHENTICATION_ERROR',
  "A write with the dashboard's session needs the dashboard's Origin header",
)
const foreignOrigin = credentialsError('FORBIDDEN', "The Origin header must be the dashboard's")

let system: TestSystem
let merchant: { id: string; email: string; keys: Keys }
beforeAll(async () => {
  const env = { PUBLIC_DASHBOARD_URL: `${DASHBOARD}/` }
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0, env })
})
afterAll(() => system?.stop())
beforeEach(async () => {
  await system.database.query('UPDATE merchants SET is_active = true')
  merchant = await addMerchant(system.database)
})

type Headers = Record<string, string>
const orders = '/api/v1/orders'

/** Repeats the request after a 503 of a busy machine; no request here is harmful when repeated. */
const send = (...request: Parameters<typeof sendOnce>) => untilKnown(() => sendOnce(...request))

async function sendOnce(method: string, url: string, headers: Headers = {}, body?: unknown) {
  const response = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? null : (JSON.parse(text) as Record<string, unknown>),
  }
}
const read = (headers: Headers, url = system.api.url) => send('GET', url + orders, headers)
const write = (headers: Headers, url = system.api.url) =>
  send('POST', url + orders, headers, { amount: 500, currency: 'INR' })
const login = (email: string, password: string, headers: Headers = {}, url = system.api.url) =>
  send('POST', `${url}/api/v1/session`, headers, { email, password })

/** The only cookie of a response: its value, and its attributes by lower-case name. */
function cookieOf(headers: globalThis.Headers) {
  const [cookie = '', ...more] = headers.getSetCookie()
  expect(more).toEqual([])
  const [pair = '', ...attributes] = cookie.split('; ')
  expect(pair.startsWith(`${SESSION_COOKIE}=`)).toBe(true)
  const named = attributes.map((attribute): [string, string] => {
    const [name = '', value = ''] = attribute.split('=')
    return [name.toLowerCase(), value]
  })
  return { cookie: pair, token: pair.slice(SESSION_COOKIE.length + 1), attributes: new Map(named) }
}

/** A new session of the seeded merchant. */
async function seededSession(url = system.api.url): Promise<Headers> {
  const { status, headers } = await login('test@example.com', 'anything', {}, url)
  expect(status).toBe(200)
  return { cookie: cookieOf(headers).cookie }
}

/** Sets the password with the operator's tool. */
async function setPassword(email: string, password: string): Promise<void> {
  const script = path.resolve(import.meta.dirname, '../../../packages/core/dist/merchant.js')
  const child = spawn(process.execPath, [script, 'password', email], {
    env: { PATH: process.env.PATH, DATABASE_URL: system.database.url },
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  child.stdin.end(`${password}\n`)
  expect(await once(child, 'exit')).toEqual([0, null])
}

async function countOrders(): Promise<number> {
  const [row] = await system.database.query<{ count: number }>('SELECT count(*)::int FROM orders')
  return row!.count
}

describe('logging in', () => {
  test('any password opens the seeded merchant’s dashboard in the sandbox, its e-mail in any case', async () => {
    for (const email of ['test@example.com', 'Test@EXAMPLE.com']) {
      const { status, headers, body } = await login(email, 'any password')
      expect(status).toBe(200)
      expect(body).toEqual({
        merchant: { id: SEEDED_MERCHANT_ID, name: 'Test Merchant', email: 'test@example.com' },
        expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      })
      expect(headers.get('cache-control')).toBe('no-store')
      const { cookie } = cookieOf(headers)
      expect((await read({ cookie })).status).toBe(200)
    }
    expect((await login('test@example.com', '')).status).toBe(400)
  })

  test('other merchants need the password that the operator set', async () => {
    const wrong = credentialsError('AUTHENTICATION_ERROR', 'The e-mail or the password is wrong')
    expect(await login(merchant.email, PASSWORD)).toMatchObject({ status: 401, body: wrong })
    await setPassword(merchant.email, PASSWORD)
    for (const [email, password] of [
      [merchant.email, 'wrong horse'],
      [merchant.email, PASSWORD.toUpperCase()],
      ['unknown@merchant.example', PASSWORD],
    ] as const) {
      const { status, headers, body } = await login(email, password)
      expect({ status, body, cookies: headers.getSetCookie() }).toEqual({
        status: 401,
        body: wrong,
        cookies: [],
      })
    }
    const { headers } = await login(merchant.email.toUpperCase(), PASSWORD)
    const mine = await send('GET', `${system.api.url}/api/v1/merchant`, { cookie: cookieOf(headers).cookie })
    expect(mine).toMatchObject({ status: 200, body: { id: merchant.id, email: merchant.email } })
  })

  test.each([
    ['email', '\0unknown@merchant.example', PASSWORD],
    ['email', 'unknown\ud800@merchant.example', PASSWORD],
    ['email', '\udfffunknown@merchant.example', PASSWORD],
    ['password', 'test@example.com', 'any\0thing'],
    ['password', 'test@example.com', 'anything\ud83d'],
  ])('NUL and halves of characters are no part of any %s: 400 for %j, %j', async (field, email, password) => {
    const { status, headers, body } = await login(email, password)
    expect({ status, body, cookies: headers.getSetCookie() }).toMatchObject({
      status: 400,
      body: { error: { code: 'BAD_REQUEST_ERROR', field } },
      cookies: [],
    })
  })

  test('a session without a verified password ends with the sandbox, a verified one does not', async () => {
    const api = await startApp('api', { ...system.env, SANDBOX: 'false' })
    onTestFinished(async () => {
      await api.stop()
      await system.database.query('UPDATE merchants SET password_hash = NULL WHERE id = $1', [
        SEEDED_MERCHANT_ID,
      ])
    })
    const withoutPassword = await seededSession()
    expect((await read(withoutPassword)).status).toBe(200)
    expect(await read(withoutPassword, api.url)).toMatchObject({ status: 401, body: invalidCredentials })
    await setPassword('test@example.com', PASSWORD)
    const withAny = await seededSession()
    expect((await read(withAny)).status).toBe(200)
    expect(await read(withAny, api.url)).toMatchObject({ status: 401, body: invalidCredentials })
    const { status, headers } = await login('test@example.com', PASSWORD)
    expect(status).toBe(200)
    const withTheRightOne = { cookie: cookieOf(headers).cookie }
    for (const url of [system.api.url, api.url]) expect((await read(withTheRightOne, url)).status).toBe(200)
  })

  test('an inactive merchant cannot log in', async () => {
    await setPassword(merchant.email, PASSWORD)
    await system.database.query('UPDATE merchants SET is_active = false')
    expect((await login(merchant.email, PASSWORD)).status).toBe(401)
    expect((await login('test@example.com', 'anything')).status).toBe(401)
  })

  test('the database stores only a hash of the token', async () => {
    const { token } = cookieOf((await login('test@example.com', 'anything')).headers)
    expect(token).toMatch(/^[\w-]{43}$/)
    const rows = await system.database.query<{ token_hash: string }>('SELECT token_hash FROM sessions')
    expect(rows.length).toBeGreaterThan(0)
    for (const { token_hash } of rows) {
      expect(token_hash).toMatch(/^[0-9a-f]{64}$/)
      expect(await read({ cookie: `${SESSION_COOKIE}=${token_hash}` })).toMatchObject({ status: 401 })
    }
    expect(system.api.output()).not.toContain(token)
  })

  test('pages of other origins cannot log a merchant in or out', async () => {
    const session = await seededSession()
    for (const origin of [
      'https://evil.example',
      'null',
      `${DASHBOARD}.evil.example`,
      'https://dashboard.example:3000',
    ]) {
      const { status, headers, body } = await login('test@example.com', 'anything', { origin })
      expect({ origin, status, body }).toEqual({ origin, status: 403, body: foreignOrigin })
      expect(headers.getSetCookie()).toEqual([])
      const logout = await send('DELETE', `${system.api.url}/api/v1/session`, { ...session, origin })
      expect(logout).toMatchObject({ status: 403, body: foreignOrigin })
    }
    expect((await read(session)).status).toBe(200)
    expect((await login('test@example.com', 'anything', { origin: DASHBOARD })).status).toBe(200)
  })
})

describe('the cookie', () => {
  test('is HttpOnly and SameSite, and lasts twelve hours like the session', async () => {
    const { headers, body } = await login('test@example.com', 'anything')
    const { attributes } = cookieOf(headers)
    expect([...attributes.keys()].sort()).toEqual(['expires', 'httponly', 'path', 'samesite'])
    expect([attributes.get('path'), attributes.get('samesite')]).toEqual(['/', 'Strict'])
    const expiresAt = Date.parse(String(body?.expires_at))
    expect(Math.abs(Date.parse(attributes.get('expires')!) - expiresAt)).toBeLessThanOrEqual(1000)
    expect(Math.abs(expiresAt - Date.now() - 12 * 3600_000)).toBeLessThan(60_000)
  })

  test('is Secure when the dashboard uses https, also at logout', async () => {
    const api = await startApp('api', { ...system.env, PUBLIC_DASHBOARD_URL: 'https://dashboard.example' })
    onTestFinished(async () => void (await api.stop()))
    const { headers } = await login('test@example.com', 'anything', {}, api.url)
    expect(cookieOf(headers).attributes.has('secure')).toBe(true)
    const logout = await send('DELETE', `${api.url}/api/v1/session`, {
      cookie: cookieOf(headers).cookie,
      origin: 'https://dashboard.example',
    })
    expect(cookieOf(logout.headers).attributes.has('secure')).toBe(true)
  })
})

describe('the end of a session', () => {
  test('a logout ends this session, not only its cookie, and no other session', async () => {
    const [session, other] = [await seededSession(), await seededSession()]
    const url = `${system.api.url}/api/v1/session`
    // As every write with the cookie, it needs the dashboard's origin.
    expect((await send('DELETE', url, session)).status).toBe(403)
    expect((await read(session)).status).toBe(200)
    const logout = await send('DELETE', url, { ...session, origin: DASHBOARD })
    expect([logout.status, logout.body]).toEqual([204, null])
    const { token, attributes } = cookieOf(logout.headers)
    expect([token, Date.parse(attributes.get('expires')!)]).toEqual(['', 0])
    expect(await read(session)).toMatchObject({ status: 401, body: invalidCredentials })
    expect((await read(other)).status).toBe(200)
    for (const again of [{ ...session, origin: DASHBOARD }, {}, { 'content-type': 'application/json' }]) {
      expect((await send('DELETE', url, again)).status).toBe(204)
    }
  })

  test('a new password ends every session, and the old password opens none', async () => {
    await setPassword(merchant.email, PASSWORD)
    const { headers } = await login(merchant.email, PASSWORD)
    const session = { cookie: cookieOf(headers).cookie }
    const other = await seededSession()
    expect((await read(session)).status).toBe(200)
    await setPassword(merchant.email, 'battery staple')
    expect(await read(session)).toMatchObject({ status: 401, body: invalidCredentials })
    expect((await login(merchant.email, PASSWORD)).status).toBe(401)
    expect((await login(merchant.email, 'battery staple')).status).toBe(200)
    expect((await read(other)).status).toBe(200)
  })

  test('a session expires by itself', async () => {
    const session = await seededSession()
    expect((await read(session)).status).toBe(200)
    await system.database.query(
      `UPDATE sessions SET created_at = now() - interval '13 hours', expires_at = now() - interval '1 second'`,
    )
    expect(await read(session)).toMatchObject({ status: 401, body: invalidCredentials })
  })
})

describe('writes with the cookie', () => {
  let pages: AppProcess
  beforeAll(async () => {
    pages = await startApp('pages', { API_URL: system.api.url }, ['dashboard'])
  })
  afterAll(() => pages?.stop())

  const origins: [string, Headers][] = [
    ['another origin', { origin: 'https://evil.example' }],
    ['another port of the dashboard’s host', { origin: 'http://dashboard.example:3001' }],
    ['another scheme', { origin: 'https://dashboard.example:3000' }],
    ['an origin with the same prefix', { origin: `${DASHBOARD}.evil.example` }],
    ['an opaque origin', { origin: 'null' }],
    ['no origin', {}],
    ['an empty origin', { origin: '' }],
    ['a right Referer only', { referer: `${DASHBOARD}/dashboard` }],
  ]

  test.each(origins)(
    'are refused from %s, through the page server too, and nothing happens',
    async (_name, headers) => {
      const session = await seededSession()
      const before = await countOrders()
      for (const url of [system.api.url, `${pages.url}/_api`]) {
        expect(await write({ ...session, ...headers }, url)).toMatchObject({
          status: 401,
          body: needsOrigin,
        })
        expect((await read({ ...session, ...headers }, url)).status).toBe(200)
      }
      expect(await countOrders()).toBe(before)
    },
  )

  test('are accepted from the dashboard’s pages, directly and through the page server', async () => {
    const session = await seededSession()
    for (const url of [system.api.url, `${pages.url}/_api`]) {
      const { status, body } = await write({ ...session, origin: DASHBOARD }, url)
      expect([status, body]).toMatchObject([201, { merchant_id: SEEDED_MERCHANT_ID }])
    }
  })

  test('are accepted in the sandbox from the Host of the page server, but not from another port', async () => {
    const session = await seededSession(`${pages.url}/_api`)
    expect((await write({ ...session, origin: pages.url }, `${pages.url}/_api`)).status).toBe(201)
    const before = await countOrders()
    // Browsers send the cookie to every port of a host. Headers of the caller must not help another port.
    const neighbour = { ...session, origin: 'http://127.0.0.1:1' }
    for (const headers of [neighbour, { ...neighbour, 'x-forwarded-host': '127.0.0.1:1' }]) {
      expect(await write(headers, `${pages.url}/_api`)).toMatchObject({ status: 401, body: needsOrigin })
    }
    expect(await countOrders()).toBe(before)
  })

  test('are accepted outside the sandbox from the dashboard’s address only', async () => {
    await setPassword(merchant.email, PASSWORD)
    const env = { ...system.env, SANDBOX: 'false' }
    const api = await startApp('api', env)
    const front = await startApp('pages', { ...env, API_URL: api.url }, ['dashboard'])
    onTestFinished(async () => void (await Promise.all([front.stop(), api.stop()])))
    expect((await login('test@example.com', 'anything', {}, api.url)).status).toBe(401)
    const { status, headers } = await login(merchant.email, PASSWORD, {}, `${front.url}/_api`)
    expect(status).toBe(200)
    const session = { cookie: cookieOf(headers).cookie }
    const before = await countOrders()
    for (const [origin, url] of [
      [front.url, `${front.url}/_api`],
      [api.url, api.url],
    ] as const) {
      expect((await read(session, url)).status).toBe(200)
      expect(await write({ ...session, origin }, url)).toMatchObject({ status: 401, body: needsOrigin })
      expect(await login(merchant.email, PASSWORD, { origin }, url)).toMatchObject({ status: 403 })
    }
    expect(await countOrders()).toBe(before)
    expect((await write({ ...session, origin: DASHBOARD }, `${front.url}/_api`)).status).toBe(201)
  })
})

describe('keys and sessions', () => {
  test('headers take precedence over the cookie, even wrong ones', async () => {
    const session = await seededSession()
    const mine = await write({ ...session, ...merchant.keys, origin: 'https://evil.example' })
    expect([mine.status, mine.body]).toMatchObject([201, { merchant_id: merchant.id }])
    const wrong = { ...session, origin: DASHBOARD, ...merchant.keys, 'x-api-secret': 'wrong' }
    expect(await write(wrong)).toMatchObject({ status: 401, body: invalidCredentials })
    expect(await read({ ...session, 'x-api-key': '' })).toMatchObject({ status: 401 })
  })

  test('fail at once when SQL makes the merchant inactive, and work again when it is active', async () => {
    const session = await seededSession()
    for (const [isActive, status] of [
      [true, 200],
      [false, 401],
      [true, 200],
    ] as const) {
      await system.database.query('UPDATE merchants SET is_active = $1', [isActive])
      for (const headers of [session, seededKeys]) {
        const response = await read(headers)
        expect(response.status).toBe(status)
        if (status === 401) expect(response.body).toEqual(invalidCredentials)
      }
    }
  })

  test('responses to merchants are not cached', async () => {
    const session = await seededSession()
    for (const headers of [session, seededKeys]) {
      for (const url of ['/api/v1/merchant', orders, '/api/v1/payments', '/api/v1/stats']) {
        const response = await send('GET', system.api.url + url, headers)
        expect([url, response.status, response.headers.get('cache-control')]).toEqual([url, 200, 'no-store'])
      }
    }
    const created = await write(seededKeys)
    expect([created.status, created.headers.get('cache-control')]).toEqual([201, 'no-store'])
  })

  const { 'x-api-key': key, 'x-api-secret': secret } = seededKeys
  const wrong: [string, Headers][] = [
    ['nothing', {}],
    ['a key alone', { 'x-api-key': key }],
    ['a secret alone', { 'x-api-secret': secret }],
    ['a wrong secret', { 'x-api-key': key, 'x-api-secret': 'secret_wrong' }],
    ['an unknown key', { 'x-api-key': 'key_unknown', 'x-api-secret': secret }],
    ['an empty key and secret', { 'x-api-key': '', 'x-api-secret': '' }],
    ['key and secret swapped', { 'x-api-key': secret, 'x-api-secret': key }],
    ['another case', { 'x-api-key': key.toUpperCase(), 'x-api-secret': secret }],
    ['an overlong key', { 'x-api-key': 'k'.repeat(5000), 'x-api-secret': secret }],
    ['an overlong secret', { 'x-api-key': key, 'x-api-secret': secret.repeat(300) }],
    ['letters beyond ASCII', { 'x-api-key': 'kéy', 'x-api-secret': '\xff' }],
    ['an unknown cookie', { cookie: `${SESSION_COOKIE}=${'x'.repeat(43)}` }],
    ['an overlong cookie', { cookie: `${SESSION_COOKIE}=${'x'.repeat(5000)}` }],
    ['a cookie with NUL', { cookie: `${SESSION_COOKIE}=%00${'x'.repeat(42)}` }],
    ['a cookie that cannot be decoded', { cookie: `${SESSION_COOKIE}=%E0%A4%A` }],
  ]
  test.each(wrong)('%s is 401 with the common error body, for reads and writes', async (_name, headers) => {
    const before = await countOrders()
    for (const response of [await read(headers), await write({ ...headers, origin: DASHBOARD })]) {
      expect([response.status, response.body]).toEqual([401, invalidCredentials])
      expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
    }
    expect(await countOrders()).toBe(before)
  })

  test('a repeated key or secret header is 401', async () => {
    const twice: [string, string][] = [
      ['x-api-key', key],
      ['x-api-key', key],
      ['x-api-secret', secret],
    ]
    const response = await fetch(system.api.url + orders, { headers: twice })
    expect([response.status, await response.json()]).toEqual([401, invalidCredentials])
  })
})
