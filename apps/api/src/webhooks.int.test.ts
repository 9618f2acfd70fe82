// The routes about webhooks: what was sent, sending it again, and the endpoint's settings. No worker is there: what is due stays due.
import { randomUUID } from 'node:crypto'
import {
  getMerchant,
  getWebhook,
  listWebhooks,
  putWebhook,
  type ReplayRequest,
  regenerateWebhookSecret,
  replayWebhooks,
  retryWebhook,
  testWebhook,
} from '@sluice/contracts'
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

const DASHBOARD = 'http://dashboard.example:3000'
const DAY_MS = 86_400_000
const GENERATED = /^whsec_[A-Za-z0-9+/]{43}=$/
const URL = 'https://shop.example/webhooks?from=sluice'

let system: TestSystem
let merchant: { id: string; email: string; keys: Keys }
let headers: Keys
beforeAll(async () => {
  const env = { PUBLIC_DASHBOARD_URL: DASHBOARD }
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0, env })
})
afterAll(() => system?.stop())
beforeEach(async () => {
  merchant = await addMerchant(system.database)
  headers = merchant.keys
})

interface Row {
  id: string
  event: string
  status: 'pending' | 'success' | 'failed'
  attempts: number
  attempt_number: number
  created_at: string
  last_attempt_at: string | null
  next_retry_at: string | null
  response_code: number | null
  response_body: string | null
  claimed_until: string | null
}

/** A delivery as some worker may have left it. */
async function addWebhook(fields: Partial<Row> = {}, merchantId = merchant.id): Promise<Row> {
  const { status = 'success', attempts = status === 'pending' ? 0 : 1 } = fields
  const row: Row = {
    id: randomUUID(),
    event: 'payment.success',
    status,
    attempts,
    attempt_number: attempts,
    created_at: '2024-01-15T10:31:10.000Z',
    last_attempt_at: attempts > 0 ? '2024-01-15T10:31:11.000Z' : null,
    next_retry_at: status === 'pending' ? '2124-01-15T10:31:10.000Z' : null,
    response_code: attempts === 0 ? null : status === 'success' ? 200 : 500,
    response_body: attempts === 0 ? null : 'OK',
    claimed_until: null,
    ...fields,
  }
  const columns = Object.keys(row)
  await system.database.query(
    `INSERT INTO webhook_logs (merchant_id, payload, request_id, settled_at, ${columns.join(', ')})
     VALUES ($1, $2, 'x', ${status === 'pending' ? 'NULL' : 'now()'}, ${columns.map((_, at) => `$${at + 3}`).join(', ')})`,
    [merchantId, `{"event":"${row.event}","timestamp":1705315870,"data":{}}`, ...Object.values(row)],
  )
  return row
}

/** As the wire shows it. */
const shown = ({ attempt_number: _number, claimed_until: _until, ...fields }: Row) => fields

const list = async (
  query: NonNullable<Parameters<typeof system.call<typeof listWebhooks>>[1]>['query'] = {},
) => expectStatus(await system.call(listWebhooks, { headers, query }), 200)
const read = async (webhook_id: string) =>
  expectStatus(await system.call(getWebhook, { headers, params: { webhook_id } }), 200)

async function send(method: string, path: string, body?: unknown, more: Record<string, string> = headers) {
  const response = await fetch(system.api.url + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...more },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, error: errorOf(text) }
}
const errorOf = (text: string) => (JSON.parse(text) as { error?: { code: string; field?: string } }).error

const settingsOf = async () => {
  const [row] = await system.database.query(
    `SELECT webhook_url, webhook_secret, previous_webhook_secret AS previous, previous_webhook_secret_until AS until
     FROM merchants WHERE id = $1`,
    [merchant.id],
  )
  return row!
}
const put = async (webhook_url: string | null) =>
  expectStatus(await system.call(putWebhook, { headers, body: { webhook_url } }), 200)
const regenerate = async (body: { expire_old?: boolean } = {}) =>
  expectStatus(await system.call(regenerateWebhookSecret, { headers, body }), 200)

describe('the list', () => {
  test('shows every field of the merchant’s own webhooks, newest first, and how many there are', async () => {
    const other = await addMerchant(system.database)
    await addWebhook({}, other.id)
    const rows = [
      await addWebhook({ created_at: '2024-01-15T10:31:12.345Z' }),
      await addWebhook({ created_at: '2024-01-15T10:31:11.000Z', status: 'failed', attempts: 5 }),
      await addWebhook({ created_at: '2024-01-15T10:31:10.000Z', status: 'pending' }),
      await addWebhook({ created_at: '2024-01-15T10:31:09.000Z', status: 'pending', attempts: 2 }),
    ]
    expect(await list()).toEqual({ data: rows.map(shown), total: 4, limit: 10, offset: 0 })
  })

  test('is narrowed down by status and by event', async () => {
    const paid = await addWebhook({ event: 'payment.success', status: 'failed' })
    const refunded = await addWebhook({ event: 'refund.processed', status: 'failed' })
    const created = await addWebhook({ event: 'payment.success', status: 'pending' })
    const ids = async (query: Parameters<typeof list>[0]) => {
      const { data, total } = await list(query)
      expect(total).toBe(data.length)
      return data.map(({ id }) => id).sort()
    }
    expect(await ids({ status: 'failed' })).toEqual([paid.id, refunded.id].sort())
    expect(await ids({ event: 'payment.success' })).toEqual([paid.id, created.id].sort())
    expect(await ids({ status: 'failed', event: 'payment.success' })).toEqual([paid.id])
    expect(await ids({ status: 'success' })).toEqual([])
    expect(await ids({ event: "x' OR true --" })).toEqual([])
  })

  test('is read page by page in a stable order, ties included; the total counts them all', async () => {
    for (let at = 0; at < 25; at += 1) await addWebhook()
    expect((await list()).data).toHaveLength(10)
    const pages = [await list(), await list({ offset: 10 }), await list({ offset: 20 })]
    const ids = pages.flatMap(({ data }) => data.map(({ id }) => id))
    expect(pages.map(({ total, offset, data }) => [total, offset, data.length])).toEqual([
      [25, 0, 10],
      [25, 10, 10],
      [25, 20, 5],
    ])
    expect(new Set(ids).size).toBe(25)
    expect((await list({ limit: 100 })).data.map(({ id }) => id)).toEqual(ids)
    expect((await list({ limit: 1, offset: 24 })).data.map(({ id }) => id)).toEqual(ids.slice(24))
    expect((await list({ offset: 25 })).data).toEqual([])
  })

  test.for([
    ['limit', '0'],
    ['limit', '101'],
    ['limit', 'ten'],
    ['limit', '1.5'],
    ['offset', '-1'],
    ['status', 'sent'],
    ['status', ''],
    ['event', 'x'.repeat(51)],
    ['event', '\0'],
  ] as const)('refuses %s=%s', async ([field, value]) => {
    const { status, error } = await send('GET', `/api/v1/webhooks?${new URLSearchParams({ [field]: value })}`)
    expect({ status, code: error?.code, field: error?.field }).toEqual({
      status: 400,
      code: 'BAD_REQUEST_ERROR',
      field,
    })
  })
})

describe('one webhook', () => {
  test('comes with its body and every attempt, the first one first', async () => {
    const row = await addWebhook({ status: 'pending', attempts: 2 })
    await system.database.query(
      `INSERT INTO webhook_attempts (delivery_id, number, at, duration_ms, response_code, error, response_body)
       VALUES ($1, 2, '2024-01-15T10:32:11Z', 12, 500, NULL, 'no'), ($1, 1, '2024-01-15T10:31:11Z', 5001, NULL, 'timeout', '')`,
      [row.id],
    )
    const webhook = await read(row.id)
    expect(webhook).toEqual({
      ...shown(row),
      payload: { event: 'payment.success', timestamp: 1705315870, data: {} },
      history: [
        {
          number: 1,
          at: '2024-01-15T10:31:11.000Z',
          duration_ms: 5001,
          response_code: null,
          error: 'timeout',
          response_body: '',
        },
        {
          number: 2,
          at: '2024-01-15T10:32:11.000Z',
          duration_ms: 12,
          response_code: 500,
          error: null,
          response_body: 'no',
        },
      ],
    })
    expect(Object.keys(webhook.payload)).toEqual(['event', 'timestamp', 'data'])
  })

  test.for([
    ['GET', ''],
    ['POST', '/retry'],
  ] as const)(
    '%s%s of an unknown, a malformed and another merchant’s is the same 404',
    async ([method, end]) => {
      const other = await addMerchant(system.database)
      const theirs = await addWebhook({ status: 'failed' }, other.id)
      const mine = await addWebhook({ status: 'failed' })
      const ids = [
        randomUUID(),
        theirs.id,
        'x',
        '1',
        '%00',
        `${mine.id}%20`,
        mine.id.slice(1),
        '%F0%9F%98%80',
        "'",
      ]
      for (const id of ids) {
        const { status, error, text } = await send(method, `/api/v1/webhooks/${id}${end}`)
        expect({ id, status, code: error?.code }).toEqual({ id, status: 404, code: 'NOT_FOUND_ERROR' })
        expect(JSON.parse(text).error.description).toBe('Webhook not found')
      }
      const rows = await system.database.query(
        `SELECT count(*)::int AS failed FROM webhook_logs WHERE id = ANY($1) AND status = 'failed'`,
        [[theirs.id, mine.id]],
      )
      expect(rows).toEqual([{ failed: 2 }])
    },
  )
})

describe('a retry', () => {
  test.for([
    ['failed', 5],
    ['success', 1],
    ['pending', 3],
    ['pending', 0],
  ] as const)('of a %s one after %i attempts makes it due now, with none', async ([status, attempts]) => {
    const row = await addWebhook({ status, attempts, attempt_number: attempts + 2 })
    const before = Date.now()
    const answer = await send('POST', `/api/v1/webhooks/${row.id}/retry`)
    expect(answer.status).toBe(200)
    expect(answer.text).toBe(`{"id":"${row.id}","status":"pending","message":"Webhook retry scheduled"}`)
    const { next_retry_at, ...webhook } = await read(row.id)
    expect(webhook).toMatchObject({ status: 'pending', attempts: 0, last_attempt_at: row.last_attempt_at })
    expect(Date.parse(next_retry_at!)).toBeGreaterThanOrEqual(before - 5)
    expect(Date.parse(next_retry_at!)).toBeLessThanOrEqual(Date.now() + 5)
    const kept = await system.database.query('SELECT attempt_number FROM webhook_logs WHERE id = $1', [
      row.id,
    ])
    expect(kept).toEqual([{ attempt_number: attempts + 2 }])
  })

  test('during an attempt takes nothing away from that, and is wanted after it', async () => {
    const claimed_until = new Date(Date.now() + 60_000).toISOString()
    const row = await addWebhook({ status: 'pending', attempts: 2, claimed_until })
    expectStatus(await system.call(retryWebhook, { headers, params: { webhook_id: row.id } }), 200)
    const kept = await system.database.query(
      'SELECT attempts, retry_wanted AS wanted, claimed_until FROM webhook_logs WHERE id = $1',
      [row.id],
    )
    expect(kept).toEqual([{ attempts: 2, wanted: true, claimed_until: new Date(claimed_until) }])
  })

  test('twenty at once are one', async () => {
    const row = await addWebhook({ status: 'failed', attempts: 5 })
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => send('POST', `/api/v1/webhooks/${row.id}/retry`)),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect((await list()).data).toMatchObject([{ id: row.id, status: 'pending', attempts: 0 }])
  })
})

describe('a replay', () => {
  const replay = async (body: ReplayRequest) =>
    expectStatus(await system.call(replayWebhooks, { headers, body }), 200)
  const at = (second: number) => `2024-01-15T10:00:${String(second).padStart(2, '0')}.000Z`
  const since = at(0)

  test('takes those of a time, bounds included, of an event and of a status, and counts them', async () => {
    for (let second = 0; second < 10; second += 1) {
      const status = second % 2 === 0 ? 'failed' : 'success'
      const event = second < 4 ? 'payment.success' : 'refund.processed'
      await addWebhook({ created_at: at(second), status, event })
    }
    await addWebhook({ created_at: at(3), status: 'pending', attempts: 1 })
    const other = await addMerchant(system.database)
    await addWebhook({ created_at: at(3), status: 'failed' }, other.id)
    const before = await list({ limit: 100 })

    const count = async (body: ReplayRequest) => {
      const counts = await replay({ ...body, dry_run: true })
      expect(counts.scheduled).toBe(0)
      return counts.matched
    }
    expect(await count({ since })).toBe(10)
    expect(await count({ since: '2024-01-15' })).toBe(10)
    expect(await count({ since: at(3) })).toBe(7)
    expect(await count({ since: at(3), until: at(5) })).toBe(3)
    expect(await count({ since: '2024-01-15T15:30:03+05:30', until: at(5) })).toBe(3)
    expect(await count({ since, until: at(0) })).toBe(1)
    expect(await count({ since: at(5), until: at(3) })).toBe(0)
    expect(await count({ since: '2024-01-16' })).toBe(0)
    expect(await count({ since, status: 'failed' })).toBe(5)
    expect(await count({ since, status: 'success' })).toBe(5)
    expect(await count({ since, event: 'refund.processed' })).toBe(6)
    expect(await count({ since, event: 'refund.processed', status: 'failed', until: at(7) })).toBe(2)
    expect(await count({ since, event: 'refund.failed' })).toBe(0)
    expect(await list({ limit: 100 })).toEqual(before)

    expect(await replay({ since: at(4), status: 'failed' })).toEqual({ matched: 3, scheduled: 3 })
    const after = await list({ limit: 100 })
    const changed = after.data.filter((webhook, i) => webhook.status !== before.data[i]!.status)
    expect(changed.map(({ created_at }) => created_at)).toEqual([at(8), at(6), at(4)])
    const others = await system.database.query('SELECT status FROM webhook_logs WHERE merchant_id = $1', [
      other.id,
    ])
    expect(others).toEqual([{ status: 'failed' }])
  })

  test('sends the same webhooks again, in their order, at 20 a second, with no attempts and their numbers kept', async () => {
    const rows = []
    for (let second = 0; second < 41; second += 1) {
      rows.push(await addWebhook({ created_at: at(second), status: 'failed', attempts: 5 }))
    }
    const before = Date.now()
    expect(await replay({ since, dry_run: false })).toEqual({ matched: 41, scheduled: 41 })
    const due = await system.database.query<{ id: string; due: Date; attempts: number; number: number }>(
      `SELECT id, next_retry_at AS due, attempts, attempt_number AS number FROM webhook_logs
       WHERE merchant_id = $1 AND status = 'pending' ORDER BY next_retry_at`,
      [merchant.id],
    )
    expect(due.map(({ id }) => id)).toEqual(rows.map(({ id }) => id))
    for (const { attempts, number } of due) expect([attempts, number]).toEqual([0, 5])
    const first = due[0]!.due.getTime()
    expect(first).toBeGreaterThanOrEqual(before - 5)
    expect(first).toBeLessThanOrEqual(Date.now() + 5)
    expect(due.map(({ due }) => due.getTime() - first)).toEqual(rows.map((_, nth) => nth * 50))
    // They are on their way; asking once more sends nothing twice.
    expect(await replay({ since })).toEqual({ matched: 0, scheduled: 0 })
  })

  test.for<[field: string | undefined, body: unknown]>([
    ['since', {}],
    ['since', { since: null }],
    ['since', { since: 1705315870 }],
    ['since', { since: 'yesterday' }],
    ['since', { since: '2024-01-15T10:00:00' }],
    ['since', { since: '2024-13-01' }],
    ['since', { since: '2024-01-15T25:00:00Z' }],
    ['until', { since, until: '2024-01-32' }],
    ['until', { since, until: null }],
    ['event', { since, event: 1 }],
    ['event', { since, event: '\0' }],
    ['status', { since, status: 'pending' }],
    ['status', { since, status: ['failed'] }],
    ['dry_run', { since, dry_run: 'true' }],
    [undefined, [since]],
  ])('refuses a wrong %s: %j', async ([field, body]) => {
    const row = await addWebhook({ status: 'failed' })
    const { status, error } = await send('POST', '/api/v1/webhooks/replay', body)
    expect({ status, code: error?.code, field: error?.field }).toEqual({
      status: 400,
      code: 'BAD_REQUEST_ERROR',
      field,
    })
    expect((await list()).data).toEqual([shown(row)])
  })
})

describe('the URL', () => {
  test('is stored as it is sent, with a secret for who had none; null takes it away, and leaves the secret', async () => {
    expect(await put(null)).toEqual({ webhook_url: null, webhook_secret: null })
    const first = await put(URL)
    expect(first).toEqual({ webhook_url: URL, webhook_secret: expect.stringMatching(GENERATED) })
    const webhook_secret = first.webhook_secret
    for (const webhook_url of ['http://127.0.0.1:4000/webhook', null, 'HTTPS://Shop.Example', URL]) {
      expect(await put(webhook_url)).toEqual({ webhook_url, webhook_secret })
      expect(await settingsOf()).toMatchObject({ webhook_url, webhook_secret, previous: null })
    }
    const profile = expectStatus(await system.call(getMerchant, { headers }), 200)
    expect(profile).toMatchObject({ webhook_url: URL, webhook_secret })
    const other = await addMerchant(system.database)
    const body = { webhook_url: URL }
    const theirs = expectStatus(await system.call(putWebhook, { headers: other.keys, body }), 200)
    expect(theirs.webhook_secret).not.toBe(webhook_secret)
  })

  test('of the seeded merchant leaves its secret as it is', async () => {
    const body = { webhook_url: URL }
    const seeded = expectStatus(await system.call(putWebhook, { headers: seededKeys, body }), 200)
    expect(seeded).toEqual({ webhook_url: URL, webhook_secret: 'whsec_test_abc123' })
  })

  test('that is set twenty times at once has one secret', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => put(URL)))
    expect(new Set(made.map(({ webhook_secret }) => webhook_secret)).size).toBe(1)
    expect(await settingsOf()).toMatchObject({ webhook_secret: made[0]!.webhook_secret })
  })

  test('has at most 2048 characters', async () => {
    const longest = `${URL}&x=`.padEnd(2048, 'x')
    expect(await put(longest)).toMatchObject({ webhook_url: longest })
  })

  test.for<[what: string, body: unknown]>([
    ['none', {}],
    ['a number', { webhook_url: 1 }],
    ['a truth', { webhook_url: true }],
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
    ['a port that there is not', { webhook_url: 'https://shop.example:65536/' }],
    ['an address that there is not', { webhook_url: 'https://999.1.1.1/' }],
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

  test('may have public addresses only, where WEBHOOK_ALLOW_PRIVATE is false', async () => {
    const strict = await startApp('api', { ...system.env, WEBHOOK_ALLOW_PRIVATE: 'false' })
    onTestFinished(async () => void (await strict.stop('SIGKILL')))
    const ask = async (webhook_url: string) => {
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
    for (const host of [...hosts, '[::ffff:10.0.0.1]', '[fd00::1]', '2130706433', 'nothing.invalid']) {
      expect(await ask(`http://${host}/`)).toEqual([`http://${host}/`, 400, 'webhook_url'])
    }
    expect(await settingsOf()).toMatchObject({ webhook_url: null, webhook_secret: null })
    expect(await ask('https://8.8.8.8/')).toEqual(['https://8.8.8.8/', 200, undefined])
  })
})

describe('the secret', () => {
  test('that is made anew leaves the old one for a day', async () => {
    const { webhook_secret: old } = await put(URL)
    const before = Date.now()
    const { previous_secret_expires_at: until, ...settings } = await regenerate()
    expect(settings).toEqual({ webhook_url: URL, webhook_secret: expect.stringMatching(GENERATED) })
    expect(settings.webhook_secret).not.toBe(old)
    expect(Date.parse(until!)).toBeGreaterThanOrEqual(before + DAY_MS - 5)
    expect(Date.parse(until!)).toBeLessThanOrEqual(Date.now() + DAY_MS + 5)
    const kept = await settingsOf()
    expect(kept).toMatchObject({ webhook_secret: settings.webhook_secret, previous: old })
    expect((kept.until as Date).toISOString()).toBe(until)

    const third = await regenerate({ expire_old: false })
    expect(await settingsOf()).toMatchObject({
      webhook_secret: third.webhook_secret,
      previous: settings.webhook_secret,
    })
  })

  test('ends the old one, and the one before that, at once with expire_old', async () => {
    await put(URL)
    await regenerate()
    const last = await regenerate({ expire_old: true })
    expect(last.previous_secret_expires_at).toBeNull()
    expect(await settingsOf()).toEqual({
      webhook_url: URL,
      webhook_secret: last.webhook_secret,
      previous: null,
      until: null,
    })
  })

  test('is made for who had none, with nothing to end', async () => {
    expect(await regenerate()).toEqual({
      webhook_url: null,
      webhook_secret: expect.stringMatching(GENERATED),
      previous_secret_expires_at: null,
    })
  })

  test('is made without a body, too', async () => {
    const { status, text } = await send('POST', '/api/v1/merchant/webhook/secret')
    expect([status, JSON.parse(text).webhook_secret]).toEqual([200, expect.stringMatching(GENERATED)])
  })

  test.for([
    ['expire_old', { expire_old: 'true' }],
    ['expire_old', { expire_old: null }],
    ['expire_old', { expire_old: 1 }],
    [undefined, []],
    [undefined, '{'],
  ] as const)('is left as it is when %s is wrong: %j', async ([field, body]) => {
    const { webhook_secret } = await put(URL)
    const { status, error } = await send('POST', '/api/v1/merchant/webhook/secret', body)
    expect({ status, code: error?.code, field: error?.field }).toEqual({
      status: 400,
      code: 'BAD_REQUEST_ERROR',
      field,
    })
    expect(await settingsOf()).toMatchObject({ webhook_secret, previous: null })
  })
})

describe('a test', () => {
  test('is refused without a URL, and writes nothing', async () => {
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

describe('who may', () => {
  const routes = (id: string): [method: string, path: string, body?: unknown][] => [
    ['GET', '/api/v1/webhooks'],
    ['GET', `/api/v1/webhooks/${id}`],
    ['POST', `/api/v1/webhooks/${id}/retry`],
    ['POST', '/api/v1/webhooks/replay', { since: '2024-01-01' }],
    ['PUT', '/api/v1/merchant/webhook', { webhook_url: 'http://127.0.0.1:4000/webhook' }],
    ['POST', '/api/v1/merchant/webhook/secret', {}],
    ['POST', '/api/v1/merchant/webhook/test'],
  ]

  test('nobody without credentials, with wrong ones, or of an inactive merchant', async () => {
    const { id } = await addWebhook({ status: 'failed' })
    const before = await settingsOf()
    const [inactive] = [await addMerchant(system.database)]
    await system.database.query('UPDATE merchants SET is_active = false WHERE id = $1', [inactive!.id])
    for (const [method, path, body] of routes(id)) {
      for (const wrong of [{}, { ...headers, 'x-api-secret': 'wrong' }, inactive!.keys]) {
        const { status, error } = await send(method, path, body, wrong as Record<string, string>)
        expect([method, path, status, error?.code]).toEqual([method, path, 401, 'AUTHENTICATION_ERROR'])
      }
    }
    expect((await read(id)).status).toBe('failed')
    expect(await settingsOf()).toEqual(before)
  })

  test('the dashboard’s session: to read from anywhere, to write with the dashboard’s Origin only', async () => {
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
