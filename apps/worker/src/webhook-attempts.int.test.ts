// Single attempts to endpoints that misbehave in every known way: each is recorded within the deadline.
import { putWebhook } from '@sluice/contracts'
import {
  expectStatus,
  type Keys,
  type MisbehaviourName,
  misbehaviours,
  refusedUrl,
  startMisbehavingServer,
  startStoppedServer,
  startSystem,
  type TestSystem,
  waitFor,
} from '@sluice/testing'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import { deliveriesOf, endpointThat, FIRST_WAIT_MS, fails } from './webhook-attempts.fixture.ts'

const DEADLINE_MS = 5000
const LATE_MS = DEADLINE_MS + 500

let system: TestSystem
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl') })
})
afterAll(() => system?.stop())

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

const { merchantAt, addTest, webhooksOf, read, attempted, makeDue } = deliveriesOf(() => system)

/** What is to be recorded: the response's status and text, or why there was no response. */
type Expected = [code: number, text: string | RegExp, waitMs?: number] | [error: string]

const EXPECTED: Record<MisbehaviourName, Expected> = {
  ok: [200, 'ok'],
  'ok-and-close': [200, 'ok'],
  'no-content': [204, ''],
  'client-error': [404, 'gone'],
  'server-error': [500, 'oops'],
  busy: [503, '', 120_000],
  'redirect-to-private': [301, ''],
  'reset-before-header': ['reset'],
  'reset-mid-header': ['reset'],
  'reset-after-header': [200, 'part'],
  'close-before-header': ['reset'],
  'close-mid-header': ['reset'],
  'close-mid-body': [500, 'part'],
  'close-ends-body': [200, 'all of it'],
  'reset-second-request': [200, 'ok'],
  'close-when-idle': [200, 'ok'],
  'write-when-idle': [200, 'ok'],
  'hang-before-header': ['timeout'],
  'hang-mid-header': ['timeout'],
  'hang-mid-body': [200, 'part'],
  'endless-200': [200, /^x{4096}$/],
  'endless-500': [500, /^x{4096}$/],
  'endless-drip': [200, /^x{5,}$/],
  'endless-header': ['timeout'],
  'endless-status-line': ['timeout'],
  'endless-trailers': [200, ''],
  'endless-early-hints': ['timeout'],
  'gzip-bomb': [200, /^.\uFFFD/s],
  'bad-text': [200, 'a\uFFFD\uFFFD\uFFFD\uFFFD('],
  'large-header': ['invalid_response'],
  'many-headers': ['invalid_response'],
  'odd-headers': ['invalid_response'],
  garbage: ['invalid_response'],
  'garbage-bytes': ['invalid_response'],
  'old-http': ['invalid_response'],
  'http-1.0': [200, 'ok'],
  'bad-chunk': [200, ''],
  'two-lengths': ['invalid_response'],
  'longer-than-its-length': [200, 'ok'],
  'two-responses': [200, 'ok'],
  trailers: [200, 'ok'],
  'early-hints': [200, 'ok'],
  continue: ['invalid_response'],
  'switching-protocols': ['invalid_response'],
}

/** Checks that the one attempt is recorded with the right outcome, and when the next one is due. */
async function expectRecorded(
  what: string,
  keys: Keys,
  [codeOrError, expectedText, waitMs = FIRST_WAIT_MS]: Expected,
): Promise<void> {
  const { history, ...webhook } = await attempted(keys, 1)
  const code = typeof codeOrError === 'number' ? codeOrError : null
  const text = code === null ? null : (expectedText ?? '')
  const error = code === null ? codeOrError : null
  const attempt = {
    number: 1,
    response_code: code,
    error,
    response_body: text instanceof RegExp ? expect.stringMatching(text) : text,
  }
  expect(history, what).toEqual([
    { ...attempt, at: webhook.last_attempt_at, duration_ms: expect.any(Number) },
  ])
  const [{ duration_ms: durationMs, response_body: kept }] = history as [(typeof history)[0]]
  expect(durationMs, what).toBeGreaterThanOrEqual(0)
  expect(durationMs, what).toBeLessThanOrEqual(LATE_MS)
  if (codeOrError === 'timeout') expect(durationMs, what).toBeGreaterThanOrEqual(DEADLINE_MS - 10)
  expect(kept?.length ?? 0, what).toBeLessThanOrEqual(4096)

  const isSuccess = code !== null && code >= 200 && code < 300
  const { response_code, response_body } = attempt
  expect(webhook, what).toMatchObject({ attempts: 1, response_code, response_body, error })
  expect([what, webhook.status]).toEqual([what, isSuccess ? 'success' : 'pending'])
  if (isSuccess) {
    expect(webhook.next_retry_at, what).toBeNull()
    return
  }
  const waits = Date.parse(webhook.next_retry_at!) - Date.parse(webhook.last_attempt_at!) - durationMs
  expect(waits, what).toBeGreaterThanOrEqual(waitMs - 5)
  expect(waits, what).toBeLessThan(waitMs + 10_000)
}

test('every misbehaviour is one attempt with the right outcome, within 5.5 s, and the worker survives it', async () => {
  // One server for each, since all webhooks to one server share its kept connections.
  const servers = new Map<string, Awaited<ReturnType<typeof startMisbehavingServer>>>()
  for (const name of Object.keys(EXPECTED)) {
    const server = await startMisbehavingServer()
    stops.push(server.close)
    servers.set(name, server)
  }
  const server = servers.get('ok')!
  const [worker] = system.workers
  const cases: [what: string, url: string, expected: Expected][] = [
    ...Object.entries(EXPECTED).map(([name, expected]): [string, string, Expected] => [
      name,
      servers.get(name)!.url(name as MisbehaviourName),
      expected,
    ]),
    ['no listener', await refusedUrl(), ['refused']],
    ['an untrusted certificate', server.tlsUrl('ok'), ['tls']],
    ['an unknown host name', 'http://nothing.invalid/', ['dns']],
    ['a URL with a password', `http://u:p@127.0.0.1:${server.port}/password`, ['invalid_url']],
    ['another protocol', `ftp://127.0.0.1:${server.port}/ftp`, ['invalid_url']],
  ]
  if (process.platform === 'linux') {
    const stopped = await startStoppedServer()
    stops.push(stopped.close)
    cases.push(['a listener that accepts no connection', stopped.url, ['timeout']])
  }
  expect(Object.keys(EXPECTED).sort()).toEqual(Object.keys(misbehaviours).sort())

  const merchants = new Map<string, { id: string; keys: Keys }>()
  for (const [what, url] of cases) merchants.set(what, await merchantAt(url))
  await Promise.all([...merchants.values()].map(({ id }) => addTest(id)))
  await waitFor('every attempt to be recorded', async () => {
    const [row] = await system.database.query('SELECT count(*)::int AS n FROM webhook_attempts')
    return row?.n >= cases.length
  })

  for (const [what, , expected] of cases) await expectRecorded(what, merchants.get(what)!.keys, expected)
  // One request for each path, which is the misbehaviour's name: no redirect was followed and nothing was sent twice.
  for (const [name, { requests }] of servers) {
    expect(requests.map(({ line }) => line)).toEqual([`POST /${name}`])
  }
  const again = await merchantAt(server.url('ok'))
  await addTest(again.id)
  expect(await attempted(again.keys, 1)).toMatchObject({ status: 'success' })
  expect(system.workers).toEqual([worker])
  expect(() => process.kill(worker!.pid, 0)).not.toThrow()
  expect(worker!.output()).not.toContain('"level":60')
})

test('no redirect of any kind is followed', async () => {
  const kinds = [300, 301, 302, 303, 307, 308]
  const endpoint = await endpointThat(({ path }, response) => {
    response.writeHead(Number(path.slice(1)), { location: '/elsewhere' }).end()
  })
  const merchants = []
  for (const kind of kinds) merchants.push(await merchantAt(new URL(`/${kind}`, endpoint.url).href))
  await Promise.all(merchants.map(({ id }) => addTest(id)))
  for (const [at, { keys }] of merchants.entries()) {
    expect(await attempted(keys, 1)).toMatchObject({ status: 'pending', response_code: kinds[at] })
  }
  expect(endpoint.received.map(({ path }) => path).sort()).toEqual(kinds.map((kind) => `/${kind}`))
})

test('private addresses are refused at every attempt, and nothing is sent to them', async () => {
  const env = { WEBHOOK_ALLOW_PRIVATE: 'false' }
  const strict = await startSystem({ postgresUrl: inject('postgresUrl'), env })
  stops.push(strict.stop)
  const inStrict = deliveriesOf(() => strict)
  const server = await startMisbehavingServer()
  stops.push(server.close)
  const { port } = server
  const urls = [
    ...['127.0.0.1', 'localhost', 'shop.localhost', '2130706433', '0x7f.1', '0.0.0.0'],
    ...['[::1]', '[::]', '[::ffff:127.0.0.1]', '[::7f00:1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]'],
  ].map((host) => `http://${host}:${port}/ok`)
  for (const webhook_url of urls) {
    const { keys } = await inStrict.merchantAt('http://192.0.2.1/')
    const response = await strict.call(putWebhook, { headers: keys, body: { webhook_url } })
    expect({ webhook_url, status: response.status }).toEqual({ webhook_url, status: 400 })
    expect(response.body).toMatchObject({ error: { code: 'BAD_REQUEST_ERROR', field: 'webhook_url' } })
  }
  const merchants = []
  for (const url of urls) merchants.push(await inStrict.merchantAt(url))
  await Promise.all(merchants.map(({ id }) => inStrict.addTest(id)))
  await waitFor('every attempt to be refused', async () => {
    const outcomes = await strict.database.query(`
      SELECT m.webhook_url, a.error, w.status, w.attempts FROM webhook_logs w JOIN merchants m ON m.id = w.merchant_id
      JOIN webhook_attempts a ON a.delivery_id = w.id`)
    if (outcomes.length < urls.length) return false
    const refused = { error: 'blocked_address', status: 'pending', attempts: 1 }
    const byUrl = (a: { webhook_url?: string }, b: { webhook_url?: string }) =>
      String(a.webhook_url).localeCompare(String(b.webhook_url))
    expect(outcomes.sort(byUrl)).toEqual(urls.map((webhook_url) => ({ webhook_url, ...refused })).sort(byUrl))
    return true
  })
  expect(server.connections()).toBe(0)
})

test('a delivery whose URL was removed fails without an attempt', async () => {
  const endpoint = await endpointThat(fails)
  const { id: merchantId, keys } = await merchantAt(endpoint.url)
  await addTest(merchantId)
  const before = await attempted(keys, 1)
  expectStatus(await system.call(putWebhook, { headers: keys, body: { webhook_url: null } }), 200)
  await makeDue(before.id)
  const never = await system.database.query<{ id: string }>(
    `INSERT INTO webhook_logs (merchant_id, event, payload, request_id)
     VALUES ($1, 'webhook.test', '{"event":"webhook.test","timestamp":1,"data":{}}', 'x') RETURNING id`,
    [merchantId],
  )
  await waitFor('both to fail', async () =>
    (await webhooksOf(keys)).every(({ status }) => status === 'failed'),
  )
  expect(await read(keys, before.id)).toEqual({
    ...before,
    status: 'failed',
    next_retry_at: null,
    error: 'no_url',
  })
  expect(await read(keys, never[0]!.id)).toMatchObject({
    status: 'failed',
    attempts: 0,
    last_attempt_at: null,
    next_retry_at: null,
    response_code: null,
    error: 'no_url',
    history: [],
  })
  expect(endpoint.received).toHaveLength(1)
})
