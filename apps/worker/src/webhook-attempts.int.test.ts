// Single attempts to endpoints that misbehave in every known way: each is recorded within the deadline.
import type http from 'node:http'
import {
  getWebhook,
  listWebhooks,
  putWebhook,
  regenerateWebhookSecret,
  replayWebhooks,
  retryWebhook,
} from '@sluice/contracts'
import {
  addMerchant,
  expectStatus,
  type Keys,
  type MisbehaviourName,
  misbehaviours,
  refusedUrl,
  startDeafServer,
  startMisbehavingServer,
  startSystem,
  type TestSystem,
  waitFor,
} from '@sluice/testing'
import { verify } from '@sluice/webhooks'
import { afterAll, afterEach, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { type Received, startEndpoint } from './merchant-endpoint.fixture.ts'

const DEADLINE_MS = 5000
const LATE_MS = DEADLINE_MS + 500
/** Until the second attempt, since the end of the first. */
const FIRST_WAIT_MS = 60_000
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

let system: TestSystem
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl') })
})
afterAll(() => system?.stop())

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/** A merchant whose webhooks go to this URL, set by SQL without the API's checks. */
async function merchantAt(url: string, by = system): Promise<{ id: string; keys: Keys }> {
  const merchant = await addMerchant(by.database)
  const settings = 'UPDATE merchants SET webhook_url = $2, webhook_secret = $3 WHERE id = $1'
  await by.database.query(settings, [merchant.id, url, SECRET])
  return merchant
}

/** Adds a delivery as if published, without the API, which a slow disk may delay. */
const addTest = (merchantId: string, by = system) =>
  by.database.query(
    `INSERT INTO webhook_logs (merchant_id, event, payload, request_id)
     VALUES ($1, 'webhook.test', '{"event":"webhook.test","timestamp":1705315870,"data":{"payment":{"id":"pay_1"}}}', 'x')`,
    [merchantId],
  )

const webhooksOf = async (headers: Keys, by = system) =>
  expectStatus(await by.call(listWebhooks, { headers }), 200).data

const read = async (headers: Keys, webhook_id: string) =>
  expectStatus(await system.call(getWebhook, { headers, params: { webhook_id } }), 200)

const retry = async (headers: Keys, webhook_id: string) =>
  expectStatus(await system.call(retryWebhook, { headers, params: { webhook_id } }), 200)

/** The webhook with its history, once so many attempts of it are recorded. */
const attempted = (headers: Keys, attempts: number, id?: string) =>
  waitFor(`${attempts} attempts to be recorded`, async () => {
    const webhook = await read(headers, id ?? (await webhooksOf(headers)).at(-1)!.id)
    return webhook.history.length >= attempts ? webhook : undefined
  })

/** Makes the next attempt due now. */
const makeDue = (id: string) =>
  system.database.query('UPDATE webhook_logs SET next_retry_at = now() WHERE id = $1', [id])

const endpointThat = (respond: Parameters<typeof startEndpoint>[1]) => startEndpoint(onTestFinished, respond)
const fails = (_received: Received, response: http.ServerResponse) => response.writeHead(500).end('no')

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
  'speak-when-idle': [200, 'ok'],
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
  'two-answers': [200, 'ok'],
  trailers: [200, 'ok'],
  'early-hints': [200, 'ok'],
  continue: ['invalid_response'],
  'switching-protocols': ['invalid_response'],
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
    const deaf = await startDeafServer()
    stops.push(deaf.close)
    cases.push(['a listener that accepts no connection', deaf.url, ['timeout']])
  }
  expect(Object.keys(EXPECTED).sort()).toEqual(Object.keys(misbehaviours).sort())

  const merchants = new Map<string, { id: string; keys: Keys }>()
  for (const [what, url] of cases) merchants.set(what, await merchantAt(url))
  await Promise.all([...merchants.values()].map(({ id }) => addTest(id)))
  await waitFor('every attempt to be recorded', async () => {
    const [row] = await system.database.query('SELECT count(*)::int AS n FROM webhook_attempts')
    return row?.n >= cases.length
  })

  for (const [what, , [codeOrError, expectedText, waitMs = FIRST_WAIT_MS]] of cases) {
    const { keys } = merchants.get(what)!
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
      continue
    }
    const waits = Date.parse(webhook.next_retry_at!) - Date.parse(webhook.last_attempt_at!) - durationMs
    expect(waits, what).toBeGreaterThanOrEqual(waitMs - 5)
    expect(waits, what).toBeLessThan(waitMs + 10_000)
  }
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
  const server = await startMisbehavingServer()
  stops.push(server.close)
  const { port } = server
  const urls = [
    ...['127.0.0.1', 'localhost', 'shop.localhost', '2130706433', '0x7f.1', '0.0.0.0'],
    ...['[::1]', '[::]', '[::ffff:127.0.0.1]', '[::7f00:1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]'],
  ].map((host) => `http://${host}:${port}/ok`)
  for (const webhook_url of urls) {
    const { keys } = await merchantAt('http://192.0.2.1/', strict)
    const response = await strict.call(putWebhook, { headers: keys, body: { webhook_url } })
    expect({ webhook_url, status: response.status }).toEqual({ webhook_url, status: 400 })
    expect(response.body).toMatchObject({ error: { code: 'BAD_REQUEST_ERROR', field: 'webhook_url' } })
  }
  const merchants = []
  for (const url of urls) merchants.push(await merchantAt(url, strict))
  await Promise.all(merchants.map(({ id }) => addTest(id, strict)))
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

describe('Retry-After', () => {
  test.for<[what: string, status: number, header: () => string, waitMs: number]>([
    ['of a 503 is a minimum', 503, () => '120', 120_000],
    [
      'of a 429 is a minimum too, as a date',
      429,
      () => new Date(Date.now() + 300_000).toUTCString(),
      300_000,
    ],
    ['that is shorter than the schedule changes nothing', 503, () => '5', FIRST_WAIT_MS],
    ['beyond an hour is an hour', 429, () => '86400', 3_600_000],
    ['of another status is ignored', 500, () => '900', FIRST_WAIT_MS],
    ['that is invalid changes nothing', 503, () => 'soon', FIRST_WAIT_MS],
  ])('%s', async ([, status, header, waitMs]) => {
    const endpoint = await endpointThat((_received, response) => {
      response.writeHead(status, { 'retry-after': header() }).end()
    })
    const { id: merchantId, keys } = await merchantAt(endpoint.url)
    await addTest(merchantId)
    const { next_retry_at, last_attempt_at } = await attempted(keys, 1)
    const waits = Date.parse(next_retry_at!) - Date.parse(last_attempt_at!)
    // A date has whole seconds only.
    expect(waits).toBeGreaterThan(waitMs - (header().endsWith('GMT') ? 1100 : 5))
    expect(waits).toBeLessThan(waitMs + 10_000)
  })
})

test('each attempt uses the URL and secret of its time, with the same id and the same bytes', async () => {
  const [first, second] = [await endpointThat(fails), await endpointThat(fails)]
  const { id: merchantId, keys } = await merchantAt(first.url)
  await addTest(merchantId)
  const { id } = await attempted(keys, 1)
  const body = { webhook_url: second.url }
  const old = expectStatus(await system.call(putWebhook, { headers: keys, body }), 200).webhook_secret!
  const rotate = async () =>
    expectStatus(await system.call(regenerateWebhookSecret, { headers: keys, body: {} }), 200).webhook_secret!
  const [between, fresh] = [await rotate(), await rotate()]
  await makeDue(id)
  await attempted(keys, 2, id)
  await system.database.query('UPDATE previous_webhook_secrets SET expires_at = now() WHERE secret = $1', [
    old,
  ])
  await makeDue(id)
  await attempted(keys, 3, id)

  expect(first.received).toHaveLength(1)
  const [before] = first.received as [Received]
  const [during, after] = second.received as [Received, Received]
  expect([during.id, after.id]).toEqual([before.id, before.id])
  expect([during.body, after.body]).toEqual([before.body, before.body])
  const signers = ({ headers, body }: Received) =>
    [old, between, fresh].filter((secret) => {
      try {
        return verify(body, headers, secret).id === id
      } catch {
        return false
      }
    })
  expect(signers(before)).toEqual([old])
  expect(signers(during)).toEqual([old, between, fresh]) // in the 24 hours of all
  expect(signers(after)).toEqual([between, fresh])
})

describe('a manual retry', () => {
  test.for([
    ['fails', 500],
    ['succeeds', 200],
  ] as const)('during an attempt takes effect after it, when that %s', async ([, status]) => {
    const held: http.ServerResponse[] = []
    const ids: string[] = []
    const endpoint = await endpointThat(({ id }, response) => {
      // Only the first attempt is held; later ones succeed.
      if (ids.push(id) === 1) held.push(response)
      else response.end('taken')
    })
    const { id: merchantId, keys } = await merchantAt(endpoint.url)
    await addTest(merchantId)
    const first = await waitFor('the attempt', () => ids[0])
    await retry(keys, first)
    expect(await read(keys, first)).toMatchObject({ status: 'pending', history: [] })
    // When this webhook arrives, the loop has handled all earlier wake-ups.
    await addTest(merchantId)
    await waitFor('another webhook', () => ids.length >= 2)
    expect(ids.filter((id) => id === first)).toHaveLength(1)
    held[0]!.writeHead(status).end('held')

    const webhook = await attempted(keys, 2, first)
    expect(webhook).toMatchObject({ status: 'success', attempts: 1, response_body: 'taken' })
    expect(webhook.history.map(({ number, response_code }) => [number, response_code])).toEqual([
      [1, status],
      [2, 200],
    ])
    expect(ids.filter((id) => id === first)).toHaveLength(2)
  })

  test('and a replay start at once with attempts from zero, under the same id and with running numbers', async () => {
    const endpoint = await endpointThat(fails)
    const { id: merchantId, keys } = await merchantAt(endpoint.url)
    await addTest(merchantId)
    const { id, created_at } = await attempted(keys, 1)
    await makeDue(id)
    expect(await attempted(keys, 2, id)).toMatchObject({ attempts: 2 })
    await retry(keys, id)
    expect(await attempted(keys, 3, id)).toMatchObject({ attempts: 1, status: 'pending' })
    for (const number of [4, 5, 6, 7]) {
      await makeDue(id)
      await attempted(keys, number, id)
    }
    expect(await read(keys, id)).toMatchObject({ attempts: 5, status: 'failed', next_retry_at: null })
    const replayed = await system.call(replayWebhooks, {
      headers: keys,
      body: { since: created_at, status: 'failed' },
    })
    expect(expectStatus(replayed, 200)).toEqual({
      matched: 1,
      scheduled: 1,
      spread_seconds: 0,
      next_since: null,
    })
    const last = await attempted(keys, 8, id)
    expect(last).toMatchObject({ attempts: 1, status: 'pending' })
    expect(last.history.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(new Set(endpoint.received.map((received) => received.id))).toEqual(new Set([id]))
    expect(new Set(endpoint.received.map(({ body }) => body.toString())).size).toBe(1)
    expect(endpoint.received).toHaveLength(8)
  })
})
