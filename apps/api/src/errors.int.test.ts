// One error shape for every status, including errors of the framework and the HTTP parser.
import { connect } from 'node:net'
import { type ErrorBody, errorStatus } from '@sluice/contracts'
import { startSystem, type TestSystem, transactionBody } from '@sluice/testing'
import { test } from '@sluice/testing/fixtures'
import { expect, inject } from 'vitest'

let system: TestSystem
test.beforeAll(({ system: shared }) => {
  system = shared
})

const json = { 'content-type': 'application/json' }
const webhook = '/v1/webhooks/transactions'

async function expectError(response: Response, code: keyof typeof errorStatus): Promise<string> {
  expect(response.status).toBe(errorStatus[code])
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
  const body = (await response.json()) as ErrorBody
  expect(Object.keys(body)).toEqual(['error'])
  expect(body.error).toMatchObject({ code, description: expect.any(String) })
  for (const key of Object.keys(body.error)) {
    expect(['code', 'description', 'field', 'reason', 'request_id']).toContain(key)
  }
  return body.error.description
}

const request = (path: string, init: RequestInit = {}) => fetch(system.api.url + path, init)
const post = (body: string | Uint8Array | undefined, headers: Record<string, string> = json) =>
  request(webhook, { method: 'POST', headers, ...(body === undefined ? {} : { body }) })

/** Sends text over a raw connection and returns everything received until the server ends it. */
function raw(text: string): Promise<string> {
  const { port } = new URL(system.api.url)
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(text))
    socket.on('data', (chunk) => {
      received += chunk
    })
    socket.on('end', () => resolve(received))
    socket.on('error', reject)
  })
}

test.each([
  ['an unknown route', '/nowhere', 'GET'],
  ['a method that a route does not have', webhook, 'GET'],
  ['an unknown transaction', '/v1/transactions/txn_none', 'GET'],
  ['an unknown method of a known path', '/v1/transactions', 'DELETE'],
  ['an invalid id', '/v1/transactions/%00', 'GET'],
  ['an id over the limit', `/v1/transactions/${'x'.repeat(101)}`, 'GET'],
  ['an id far over the limit', `/v1/transactions/${'x'.repeat(3000)}`, 'GET'],
])('%s is 404', async (_name, path, method) => {
  await expectError(await request(path, { method }), 'NOT_FOUND_ERROR')
})

test.each([
  ['malformed JSON', '{"a":'],
  ['JSON that is no object', '[1]'],
  ['a text', '"x"'],
  ['null', 'null'],
  ['nothing', ''],
  ['a __proto__ key', '{"__proto__":{"x":1},"transaction_id":"a"}'],
  ['a constructor.prototype key', '{"constructor":{"prototype":{"x":1}}}'],
])('%s is 400', async (_name, body) => {
  await expectError(await post(body), 'BAD_REQUEST_ERROR')
})

test('bytes that are not UTF-8 are 400, not stored as another id', async () => {
  const body = Buffer.from(JSON.stringify(transactionBody('txn_X')))
  body[body.indexOf('X')] = 0xff
  expect(await expectError(await post(body), 'BAD_REQUEST_ERROR')).toContain('UTF-8')
})

test('a body with a type other than JSON, or without one, is 415', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml']) {
    await expectError(await post('a=b', { 'content-type': type }), 'UNSUPPORTED_MEDIA_TYPE')
  }
})

test('a JSON type with a charset parameter is accepted', async () => {
  const response = await post(JSON.stringify(transactionBody('txn_charset')), {
    'content-type': 'application/json; charset=utf-8',
  })
  expect(response.status).toBe(202)
})

test('a body over 1 MiB is 413; a body of 1 MiB is accepted', async () => {
  const padded = (bytes: number) => {
    const empty = JSON.stringify(transactionBody('txn_large', { note: '' }))
    return JSON.stringify(transactionBody('txn_large', { note: 'x'.repeat(bytes - empty.length) }))
  }
  await expectError(await post(padded(1024 * 1024 + 1)), 'PAYLOAD_TOO_LARGE')
  expect((await post(padded(1024 * 1024))).status).toBe(202)
})

test('a path that cannot be decoded is 400', async () => {
  await expectError(await request('/v1/transactions/%E0%A4%A'), 'BAD_REQUEST_ERROR')
  await expectError(await request('/v1/transactions/%zz'), 'BAD_REQUEST_ERROR')
})

test.each([
  'limit=0',
  'limit=101',
  'limit=x',
  'limit=1.5',
  'limit=Infinity',
  'limit=1e400',
  'offset=-1',
  'offset=Infinity',
  'offset=-1e400',
  'limit=1&limit=2',
])('the query %s is 400', async (query) => {
  await expectError(await request(`/v1/transactions?${query}`), 'BAD_REQUEST_ERROR')
})

test('the greatest offset gets an empty page; a greater one is 400', async () => {
  expect((await request('/v1/transactions?offset=2147483647')).status).toBe(200)
  await expectError(await request('/v1/transactions?offset=2147483648'), 'BAD_REQUEST_ERROR')
})

test('an unknown Expect header is 400 in the same shape, not Node’s own response', async () => {
  const received = await raw('GET /live HTTP/1.1\r\nHost: x\r\nExpect: nonsense\r\n\r\n')
  expect(received).toMatch(/^HTTP\/1\.1 400 /)
  expect(received).toContain('{"error":{"code":"BAD_REQUEST_ERROR"')
})

test('a request without a Host header is served', async () => {
  expect(await raw('GET /live HTTP/1.1\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
})

test('bytes that are not HTTP are 400 in the same shape', async () => {
  const received = await raw('NONSENSE\r\n\r\n')
  const [head, body] = received.split('\r\n\r\n') as [string, string]
  expect(head).toMatch(/^HTTP\/1\.1 400 /)
  expect(JSON.parse(body)).toMatchObject({ error: { code: 'BAD_REQUEST_ERROR' } })
})

test('an oversized header is 400 in the same shape', async () => {
  const response = await request('/', { headers: { 'x-large': 'x'.repeat(20_000) } })
  await expectError(response, 'BAD_REQUEST_ERROR')
})

test('outside the sandbox open routes need credentials; health does not', async () => {
  const closed = await startSystem({
    postgresUrl: inject('postgresUrl'),
    workers: 0,
    env: { SANDBOX: 'false', NODE_ENV: 'production' },
  })
  try {
    const call = (path: string, init: RequestInit = {}) => fetch(closed.api.url + path, init)
    const body = JSON.stringify(transactionBody('txn_closed'))
    await expectError(await call(webhook, { method: 'POST', headers: json, body }), 'AUTHENTICATION_ERROR')
    for (const path of ['/v1/transactions', '/v1/transactions/txn_closed', '/api/v1/conflicts']) {
      await expectError(await call(path), 'AUTHENTICATION_ERROR')
    }
    expect((await call('/health')).status).toBe(200)
    expect(await closed.database.query('SELECT 1 FROM transactions')).toEqual([])
  } finally {
    await closed.stop()
  }
})
