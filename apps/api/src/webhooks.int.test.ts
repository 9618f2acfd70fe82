// The routes of deliveries: lists, details, retries and replays. Without a worker due deliveries stay due.
import { randomUUID } from 'node:crypto'
import { type ReplayRequest, replayWebhooks, retryWebhook } from '@sluice/contracts'
import { addMerchant, expectStatus, type Keys, startSystem, type TestSystem } from '@sluice/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { openWebhooks, shown } from './webhooks.fixture.ts'

const URL = 'https://shop.example/webhooks?from=sluice'

let system: TestSystem
let merchant: { id: string; email: string; keys: Keys }
let headers: ReturnType<typeof openWebhooks>['headers']
let addWebhook: ReturnType<typeof openWebhooks>['addWebhook']
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
  ;({ headers, addWebhook, list, read, put, send } = openWebhooks(system, merchant))
})

describe('the list', () => {
  test('shows every field of the merchant’s own webhooks, newest first, with the total', async () => {
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

  test('can be filtered by status and by event', async () => {
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
  })

  test('has pages in a stable order, also for equal times; the total counts all webhooks', async () => {
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
    ['event', 'payment.nonsense'],
    ['event', "x' OR true --"],
    ['event', '\0'],
  ] as const)('refuses %s=%j', async ([field, value]) => {
    const { status, error } = await send('GET', `/api/v1/webhooks?${new URLSearchParams({ [field]: value })}`)
    expect({ status, code: error?.code, field: error?.field }).toEqual({
      status: 400,
      code: 'BAD_REQUEST_ERROR',
      field,
    })
  })
})

describe('one webhook', () => {
  test('is read with its body and all attempts, oldest first', async () => {
    const row = await addWebhook({ status: 'pending', attempts: 2, error: 'timeout' })
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

  test('is read with the last hundred of very many attempts', async () => {
    const row = await addWebhook({ attempts: 1, attempt_number: 250 })
    await system.database.query(
      `INSERT INTO webhook_attempts (delivery_id, number, at, duration_ms, response_code)
       SELECT $1, n, now(), 1, 500 FROM generate_series(1, 250) AS n`,
      [row.id],
    )
    const { history } = await read(row.id)
    expect(history.map(({ number }) => number)).toEqual(Array.from({ length: 100 }, (_, i) => i + 151))
  })

  test.for([
    ['GET', ''],
    ['POST', '/retry'],
  ] as const)(
    '%s%s of an unknown, a malformed or another merchant’s id is the same 404',
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
  beforeEach(() => put(URL))

  test.for([
    ['failed', 5],
    ['success', 1],
    ['pending', 3],
    ['pending', 0],
  ] as const)(
    'of a %s webhook after %i attempts makes it due now, with zero attempts',
    async ([status, attempts]) => {
      const row = await addWebhook({ status, attempts, attempt_number: attempts + 2 })
      const before = Date.now()
      const response = await send('POST', `/api/v1/webhooks/${row.id}/retry`)
      expect(response.status).toBe(200)
      expect(response.text).toBe(`{"id":"${row.id}","status":"pending","message":"Webhook retry scheduled"}`)
      const { next_retry_at, ...webhook } = await read(row.id)
      expect(webhook).toMatchObject({ status: 'pending', attempts: 0, last_attempt_at: row.last_attempt_at })
      expect(Date.parse(next_retry_at!)).toBeGreaterThanOrEqual(before - 5)
      expect(Date.parse(next_retry_at!)).toBeLessThanOrEqual(Date.now() + 5)
      const kept = await system.database.query('SELECT attempt_number FROM webhook_logs WHERE id = $1', [
        row.id,
      ])
      expect(kept).toEqual([{ attempt_number: attempts + 2 }])
    },
  )

  test('of a webhook whose attempt was never recorded does not wait for that attempt or its lease', async () => {
    const claimed_until = new Date(Date.now() - 1).toISOString()
    const row = await addWebhook({ status: 'pending', attempts: 2, attempt_number: 3, claimed_until })
    expectStatus(await system.call(retryWebhook, { headers, params: { webhook_id: row.id } }), 200)
    const kept = await system.database.query(
      'SELECT attempts, retry_wanted AS wanted, claimed_until FROM webhook_logs WHERE id = $1',
      [row.id],
    )
    expect(kept).toEqual([{ attempts: 0, wanted: false, claimed_until: null }])
  })

  test('is refused without a URL, and changes nothing', async () => {
    const row = await addWebhook({ status: 'failed', attempts: 5 })
    await put(null)
    const { status, error } = await send('POST', `/api/v1/webhooks/${row.id}/retry`)
    expect([status, error?.code, error?.field]).toEqual([400, 'BAD_REQUEST_ERROR', 'webhook_url'])
    expect((await list()).data).toEqual([shown(row)])
  })

  test('during an attempt keeps its lease, and is made after it', async () => {
    const claimed_until = new Date(Date.now() + 60_000).toISOString()
    const row = await addWebhook({ status: 'pending', attempts: 2, claimed_until })
    expectStatus(await system.call(retryWebhook, { headers, params: { webhook_id: row.id } }), 200)
    const kept = await system.database.query(
      'SELECT attempts, retry_wanted AS wanted, claimed_until FROM webhook_logs WHERE id = $1',
      [row.id],
    )
    expect(kept).toEqual([{ attempts: 2, wanted: true, claimed_until: new Date(claimed_until) }])
  })

  test('sent twenty times at once has the effect of one', async () => {
    const row = await addWebhook({ status: 'failed', attempts: 5 })
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => send('POST', `/api/v1/webhooks/${row.id}/retry`)),
    )
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]))
    expect((await list()).data).toMatchObject([{ id: row.id, status: 'pending', attempts: 0 }])
  })
})

describe('a replay', () => {
  beforeEach(() => put(URL))

  const replay = async (body: ReplayRequest) =>
    expectStatus(await system.call(replayWebhooks, { headers, body }), 200)
  const at = (second: number) => `2024-01-15T10:00:${String(second).padStart(2, '0')}.000Z`
  const since = at(0)

  test('selects webhooks by time, bounds included, by event and by status, and counts them', async () => {
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
    expect(await count({ since: '2024-01-16' })).toBe(0)
    expect(await count({ since, status: 'failed' })).toBe(5)
    expect(await count({ since, status: 'success' })).toBe(5)
    expect(await count({ since, event: 'refund.processed' })).toBe(6)
    expect(await count({ since, event: 'refund.processed', status: 'failed', until: at(7) })).toBe(2)
    expect(await count({ since, event: 'refund.failed' })).toBe(0)
    expect(await list({ limit: 100 })).toEqual(before)

    expect(await replay({ since: at(4), status: 'failed' })).toEqual({
      matched: 3,
      scheduled: 3,
      spread_seconds: 1,
      next_since: null,
    })
    const after = await list({ limit: 100 })
    const changed = after.data.filter((webhook, i) => webhook.status !== before.data[i]!.status)
    expect(changed.map(({ created_at }) => created_at)).toEqual([at(8), at(6), at(4)])
    const others = await system.database.query('SELECT status FROM webhook_logs WHERE merchant_id = $1', [
      other.id,
    ])
    expect(others).toEqual([{ status: 'failed' }])
  })

  test('sends the same webhooks again in order, at 20 a second, with zero attempts and running numbers', async () => {
    const rows = []
    for (let second = 0; second < 41; second += 1) {
      rows.push(await addWebhook({ created_at: at(second), status: 'failed', attempts: 5 }))
    }
    const before = Date.now()
    expect(await replay({ since, dry_run: true })).toEqual({
      matched: 41,
      scheduled: 0,
      spread_seconds: 2,
      next_since: null,
    })
    expect(await replay({ since, dry_run: false })).toEqual({
      matched: 41,
      scheduled: 41,
      spread_seconds: 2,
      next_since: null,
    })
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
    // They are pending now, so a second replay sends nothing twice.
    expect(await replay({ since })).toEqual({ matched: 0, scheduled: 0, spread_seconds: 0, next_since: null })
  })

  test('of more than five thousand webhooks sends the oldest ones, and further calls send the rest at the same rate', async () => {
    await system.database.query(
      `INSERT INTO webhook_logs (merchant_id, event, payload, request_id, status, next_retry_at, settled_at, created_at)
       SELECT $1, 'payment.success', '{}', 'x', 'success', NULL, now(), '2024-01-15'::timestamptz + n * interval '1 second'
       FROM generate_series(1, 12000) AS n`,
      [merchant.id],
    )
    const of = (second: number) => new Date(Date.parse('2024-01-15') + second * 1000).toISOString()
    const first = await replay({ since: '2024-01-15' })
    expect(first).toEqual({ matched: 12_000, scheduled: 5000, spread_seconds: 250, next_since: of(5001) })
    // The first ones, delivered meanwhile, would match again, so the request for the rest uses its beginning.
    const deliver = (until: string) =>
      system.database.query(
        `UPDATE webhook_logs SET status = 'success', next_retry_at = NULL, settled_at = now()
         WHERE merchant_id = $1 AND created_at < $2`,
        [merchant.id, until],
      )
    await deliver(of(101))
    const second = await replay({ since: first.next_since! })
    expect(second).toEqual({ matched: 7000, scheduled: 5000, spread_seconds: 250, next_since: of(10_001) })
    const third = await replay({ since: second.next_since! })
    expect(third).toEqual({ matched: 2000, scheduled: 2000, spread_seconds: 100, next_since: null })
    const [spread] = await system.database.query(
      `SELECT count(*)::int AS count, bool_and(in_order) AS in_order,
         extract(epoch FROM max(next_retry_at) - min(next_retry_at))::int AS seconds
       FROM (SELECT next_retry_at, next_retry_at >= lag(next_retry_at, 1, next_retry_at) OVER (ORDER BY created_at) AS in_order
             FROM webhook_logs WHERE merchant_id = $1 AND status = 'pending') AS due`,
      [merchant.id],
    )
    expect(spread).toEqual({ count: 11_900, in_order: true, seconds: 595 })
  })

  test('is refused without a URL, except with dry_run', async () => {
    const row = await addWebhook({ status: 'failed' })
    await put(null)
    const { status, error } = await send('POST', '/api/v1/webhooks/replay', { since: '2024-01-15' })
    expect([status, error?.code, error?.field]).toEqual([400, 'BAD_REQUEST_ERROR', 'webhook_url'])
    expect(await replay({ since: '2024-01-15', dry_run: true })).toMatchObject({ matched: 1 })
    expect((await list()).data).toEqual([shown(row)])
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
    ['event', { since, event: 'payment.nonsense' }],
    ['until', { since, until: '2024-01-14' }],
    ['since', { since: '2124-01-14' }],
    ['dryrun', { since, dryrun: true }],
    ['status', { since, status: 'pending' }],
    ['status', { since, status: ['failed'] }],
    ['dry_run', { since, dry_run: 'true' }],
    [undefined, [since]],
  ])('refuses an invalid %s: %j', async ([field, body]) => {
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
