// The routes of deliveries: lists, details and retries. Without a worker due deliveries stay due.
import { randomUUID } from 'node:crypto'
import { retryWebhook } from '@sluice/contracts'
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
