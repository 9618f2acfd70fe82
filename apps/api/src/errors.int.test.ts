// SPEC 2: one error shape for every status, the framework's and the HTTP parser's own errors included.
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

/** Sends bytes as they are and answers all that comes back until the server ends the connection. */
function raw(text: string): Promise<string> {
  const { port } = new URL(system.api.url)
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(text))
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('end', () => resolve(answer))
    socket.on('error', reject)
  })
}

test.each([
  ['an unknown route', '/nowhere', 'GET'],
  ['a method that a route does not have', webhook, 'GET'],
  ['an unknown transaction', '/v1/transactions/txn_none', 'GET'],
  ['another method', '/v1/transactions', 'DELETE'],
  ['an id that none can have', '/v1/transactions/%00', 'GET'],
  ['an id that is too long', `/v1/transactions/${'x'.repeat(101)}`, 'GET'],
  ['an id that is far too long', `/v1/transactions/${'x'.repeat(3000)}`, 'GET'],
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

test('bytes that are no UTF-8 are 400, not another id', async () => {
  const body = Buffer.from(JSON.stringify(transactionBody('txn_X')))
  body[body.indexOf('X')] = 0xff
  expect(await expectError(await post(body), 'BAD_REQUEST_ERROR')).toContain('UTF-8')
})

test('a body with no type, or another than JSON, is 415', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml']) {
    await expectError(await post('a=b', { 'content-type': type }), 'UNSUPPORTED_MEDIA_TYPE')
  }
})

test('a JSON type with a charset parameter is taken', async () => {
  const response = await post(JSON.stringify(transactionBody('txn_charset')), {
    'content-type': 'application/json; charset=utf-8',
  })
  expect(response.status).toBe(202)
})

test('a body over 1 MiB is 413, one just below is taken', async () => {
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

test('the greatest offset is an empty page, one more is 400', async () => {
  expect((await request('/v1/transactions?offset=2147483647')).status).toBe(200)
  await expectError(await request('/v1/transactions?offset=2147483648'), 'BAD_REQUEST_ERROR')
})

test('an Expect header that Node would answer by itself is 400 in the same shape', async () => {
  const answer = await raw('GET /live HTTP/1.1\r\nHost: x\r\nExpect: nonsense\r\n\r\n')
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer).toContain('{"error":{"code":"BAD_REQUEST_ERROR"')
})

test('a request without Host is answered like any other', async () => {
  expect(await raw('GET /live HTTP/1.1\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
})

test('what is no HTTP is 400 in the same shape', async () => {
  const answer = await raw('NONSENSE\r\n\r\n')
  const [head, body] = answer.split('\r\n\r\n') as [string, string]
  expect(head).toMatch(/^HTTP\/1\.1 400 /)
  expect(JSON.parse(body)).toMatchObject({ error: { code: 'BAD_REQUEST_ERROR' } })
})

test('an oversized header is answered in the same shape', async () => {
  const response = await request('/', { headers: { 'x-large': 'x'.repeat(20_000) } })
  await expectError(response, 'BAD_REQUEST_ERROR')
})

test('outside the sandbox the open routes are closed, health is not', async () => {
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
