// Replays of webhooks: selection, counts, order and rate. Without a worker due deliveries stay due.
import { type ReplayRequest, replayWebhooks } from '@sluice/contracts'
import { addMerchant, expectStatus, type Keys, startSystem, type TestSystem } from '@sluice/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { openWebhooks, shown } from './webhooks.fixture.ts'

const URL = 'https://shop.example/webhooks?from=sluice'

let system: TestSystem
let merchant: { id: string; email: string; keys: Keys }
let headers: ReturnType<typeof openWebhooks>['headers']
let addWebhook: ReturnType<typeof openWebhooks>['addWebhook']
let list: ReturnType<typeof openWebhooks>['list']
let put: ReturnType<typeof openWebhooks>['put']
let send: ReturnType<typeof openWebhooks>['send']
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
})
afterAll(() => system?.stop())
beforeEach(async () => {
  merchant = await addMerchant(system.database)
  ;({ headers, addWebhook, list, put, send } = openWebhooks(system, merchant))
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
    const markDelivered = (until: string) =>
      system.database.query(
        `UPDATE webhook_logs SET status = 'success', next_retry_at = NULL, settled_at = now()
         WHERE merchant_id = $1 AND created_at < $2`,
        [merchant.id, until],
      )
    await markDelivered(of(101))
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
