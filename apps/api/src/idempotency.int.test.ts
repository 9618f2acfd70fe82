// Idempotency keys on every route that accepts them: a repeated request has one effect and one response.
import { randomUUID } from 'node:crypto'
import {
  type AppProcess,
  addMerchant,
  errorOf,
  openPosts,
  openShop,
  type Post,
  SEEDED_MERCHANT_ID,
  seededKeys,
  startSystem,
  type TestSystem,
  waitFor,
} from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'

let system: TestSystem
/** Two processes, so that the memory of one process has no effect on the result. */
let apis: AppProcess[]
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 1, env: { LOG_LEVEL: 'warn' } })
  apis = [system.api, await system.startApi()]
})
afterAll(() => system?.stop())

const shop = () => openShop(system.call)
const send = (post: Post) => openPosts(system.api).send(post)
const sendOnce = (post: Post) => openPosts(system.api).sendOnce(post)
const newKey = () => randomUUID()

const storedKeys = (key: string) =>
  system.database.query<{ age: string; lives: number; status: number; response: string }>(
    `SELECT (now() - created_at)::text AS age, extract(epoch FROM expires_at - created_at)::float8 AS lives, status,
            response::text AS response FROM idempotency_keys WHERE key = $1`,
    [key],
  )

/** A request to an object of its own. */
interface Prepared {
  request: Post
  /** Another valid body for the same path. */
  otherBody: object
  /** A request that gets 400 or 404, to the same path if possible. */
  refused: Post
  /** Counts its effects. */
  effects: () => Promise<number>
  /** Waits until the created object is settled. */
  settle: () => Promise<unknown>
  /** A lock that blocks the request. */
  lock: { text: string; value: string }
}

interface Route {
  route: string
  /** The status of success. */
  done: number
  /** The status of a second request with a new key, or without one. */
  again: number
  prepare: () => Promise<Prepared>
}

const counted = (text: string, value: string) => async () =>
  (await system.database.query(text, [value])).length
const upi = (orderId: string, vpa = 'success@test') => ({ order_id: orderId, method: 'upi', vpa })
const unknownOrder = 'order_0000000000000000'

async function preparePayment(path: string, headers: Record<string, string>): Promise<Prepared> {
  const { id } = await shop().order()
  return {
    request: { path, headers, body: upi(id, 'failure@test') },
    otherBody: upi(id, 'success@razorpay'),
    refused: path.endsWith('/public')
      ? { path, headers, body: upi((await shop().paid()).order_id) }
      : { path, headers, body: upi(unknownOrder) },
    effects: counted('SELECT id FROM payments WHERE order_id = $1', id),
    settle: async () => {
      const rows = await system.database.query<{ id: string }>(
        'SELECT id FROM payments WHERE order_id = $1',
        [id],
      )
      for (const row of rows) await shop().settled(row.id)
    },
    lock: { text: 'SELECT 1 FROM orders WHERE id = $1 FOR UPDATE', value: id },
  }
}

const lockPayment = (value: string) => ({ text: 'SELECT 1 FROM payments WHERE id = $1 FOR UPDATE', value })

const routes: Route[] = [
  {
    route: 'orders',
    done: 201,
    again: 201,
    async prepare() {
      const path = '/api/v1/orders'
      const receipt = newKey()
      const body = { amount: 500, currency: 'JPY', receipt, notes: { a: 1 } }
      const effects = 'SELECT id FROM orders WHERE receipt = $1'
      return {
        request: { path, body },
        otherBody: { ...body, notes: { a: 2 } },
        refused: { path, body: { ...body, amount: 99 } },
        effects: counted(effects, receipt),
        settle: async () => {
          const [order] = await system.database.query<{ id: string }>(effects, [receipt])
          await shop().settled((await shop().pay(order!.id)).id)
        },
        // An insert of an order waits for the lock of its merchant's row.
        lock: { text: 'SELECT 1 FROM merchants WHERE id = $1 FOR UPDATE', value: SEEDED_MERCHANT_ID },
      }
    },
  },
  { route: 'payments', done: 201, again: 201, prepare: () => preparePayment('/api/v1/payments', seededKeys) },
  {
    route: 'payments of payers',
    done: 201,
    again: 201,
    prepare: () => preparePayment('/api/v1/payments/public', {}),
  },
  {
    route: 'captures',
    done: 200,
    again: 400,
    async prepare() {
      const { id, amount } = await shop().paid()
      const path = `/api/v1/payments/${id}/capture`
      return {
        request: { path, body: { amount } },
        otherBody: { amount: amount - 1 },
        refused: { path, body: { amount: amount - 1 } },
        effects: counted(`SELECT 1 FROM payment_log WHERE payment_id = $1 AND change = 'captured'`, id),
        settle: async () => shop().refundSettled((await shop().refund(id, 100)).id),
        lock: lockPayment(id),
      }
    },
  },
  {
    route: 'refunds',
    done: 201,
    again: 201,
    async prepare() {
      const { id, amount } = await shop().paid()
      const path = `/api/v1/payments/${id}/refunds`
      const effects = 'SELECT id FROM refunds WHERE payment_id = $1'
      return {
        request: { path, body: { amount: 100, reason: 'ünhappy 😀' } },
        otherBody: { amount: 100, reason: 'other' },
        refused: { path, body: { amount: amount + 1 } },
        effects: counted(effects, id),
        settle: async () => {
          for (const row of await system.database.query<{ id: string }>(effects, [id])) {
            await shop().refundSettled(row.id)
          }
        },
        lock: lockPayment(id),
      }
    },
  },
]

/** Locks a row, until the end of the test at the latest. */
async function hold({ text, value }: Prepared['lock']) {
  const [holder, watcher] = await Promise.all([system.database.session(), system.database.session()])
  onTestFinished(() => Promise.all([holder.end(), watcher.end()]).then(() => {}))
  await holder.query('BEGIN')
  await holder.query(text, [value])
  const { rows } = await holder.query('SELECT pg_backend_pid() AS pid')
  const waiting = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND $1 = ANY (pg_blocking_pids(pid))`
  const isWaitedFor = async () => (await watcher.query(waiting, [rows[0].pid])).rowCount !== 0
  return {
    waitedFor: () => waitFor('a request to wait for the row', isWaitedFor, { intervalMs: 5 }),
    release: () => holder.query('ROLLBACK'),
  }
}

describe.each(routes)('$route', ({ done, again, prepare }) => {
  test('a repeated request has one effect and gets status and body byte for byte, marked as a replay', async () => {
    const { request, effects } = await prepare()
    const key = newKey()
    const first = await send({ ...request, key })
    expect(first).toMatchObject({ status: done, type: 'application/json; charset=utf-8', replayed: null })
    for (const api of [...apis, ...apis]) {
      expect(await send({ ...request, key, api })).toEqual({ ...first, replayed: 'true' })
    }
    expect(await effects()).toBe(1)
    expect(await storedKeys(key)).toMatchObject([{ status: done, response: first.text, lives: 86_400 }])
  })

  test('a repeated request gets the first response after the object has changed', async () => {
    const { request, settle } = await prepare()
    const key = newKey()
    const first = await send({ ...request, key })
    await settle()
    expect(await send({ ...request, key })).toEqual({ ...first, replayed: 'true' })
  })

  test('order, white space and unknown fields of the body do not make another request', async () => {
    const { request, effects } = await prepare()
    const key = newKey()
    const first = await send({ ...request, key })
    const fields = Object.entries({ unknown: 1, ...(request.body as object) }).reverse()
    const body = JSON.stringify(Object.fromEntries(fields), null, 2)
    expect(await send({ ...request, key, body })).toEqual({ ...first, replayed: 'true' })
    expect(await effects()).toBe(1)
  })

  test.each([
    ['no key', undefined],
    ['an empty key', ''],
    // Without a key a request that got 503 cannot be repeated, so the whole test is.
  ])('%s: each request has its own effect', { retry: 1 }, async (_name, key) => {
    const { request, effects } = await prepare()
    const responses = [await sendOnce({ ...request, key }), await sendOnce({ ...request, key })]
    expect(responses.map(({ status, replayed }) => [status, replayed])).toEqual([
      [done, null],
      [again, null],
    ])
    expect(await effects()).toBe(again === done ? 2 : 1)
    expect(await storedKeys('')).toEqual([])
  })

  test('a key may have 255 characters and any visible ASCII character', async () => {
    const { request, effects } = await prepare()
    const visible = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).join('')
    const key = (newKey() + visible).padEnd(255, 'x')
    const first = await send({ ...request, key })
    expect(first.status).toBe(done)
    expect(await send({ ...request, key })).toEqual({ ...first, replayed: 'true' })
    expect(await effects()).toBe(1)
  })

  test.each([
    ['256 characters', 'x'.repeat(256)],
    ['a space', 'a b'],
    ['a tab', 'a\tb'],
    ['not ASCII', 'schlüssel'],
    ['two keys in one', 'a, b'],
  ])('a key with %s is 400 without an effect', async (_name, key) => {
    const { request, effects } = await prepare()
    expect(errorOf(await send({ ...request, key }))).toMatchObject({
      status: 400,
      code: 'BAD_REQUEST_ERROR',
      field: 'Idempotency-Key',
      description: expect.stringMatching(/idempotency-key must be .*1 to 255 visible/i),
    })
    expect(await effects()).toBe(0)
  })

  test('another body or path with a known key is 400 without an effect', async () => {
    const { request, otherBody, effects } = await prepare()
    const key = newKey()
    await send({ ...request, key })
    const mismatch = {
      status: 400,
      code: 'BAD_REQUEST_ERROR',
      field: 'Idempotency-Key',
      description: expect.stringContaining('was used for another request'),
    }
    expect(errorOf(await send({ ...request, key, body: otherBody }))).toMatchObject(mismatch)
    expect(await effects()).toBe(1)
    if (request.headers !== undefined && request.headers !== seededKeys) return
    for (const { prepare } of routes.filter(({ route }) => route !== 'payments of payers')) {
      const other = await prepare()
      expect(errorOf(await send({ ...other.request, key }))).toMatchObject(mismatch)
      expect(await other.effects()).toBe(0)
    }
  })

  test('4xx responses are not stored: the key of a refused request can be used', async () => {
    const { request, refused, effects } = await prepare()
    const key = newKey()
    for (let tries = 0; tries < 2; tries++) {
      const { status, replayed } = await send({ ...refused, key })
      expect([400, 404]).toContain(status)
      expect(replayed).toBeNull()
    }
    expect(await storedKeys(key)).toEqual([])
    expect(await send({ ...request, key })).toMatchObject({ status: done, replayed: null })
    expect(await effects()).toBe(1)
  })

  test('a key expires after 24 hours', async () => {
    const { request, effects } = await prepare()
    const key = newKey()
    const age = (by: string) =>
      system.database.query(
        `UPDATE idempotency_keys SET created_at = created_at - $2::interval, expires_at = expires_at - $2::interval
         WHERE key = $1`,
        [key, by],
      )
    const first = await send({ ...request, key })
    await age('23 hours 58 minutes')
    expect(await send({ ...request, key })).toEqual({ ...first, replayed: 'true' })
    await age('2 minutes')
    const second = await send({ ...request, key })
    expect(second).toMatchObject({ status: again, replayed: null })
    expect(second.text).not.toBe(first.text)
    if (again !== done) return
    expect(await effects()).toBe(2)
    expect(await storedKeys(key)).toMatchObject([
      { response: second.text, lives: 86_400, age: expect.stringMatching(/^00:/) },
    ])
    expect(await send({ ...request, key })).toEqual({ ...second, replayed: 'true' })
  })

  test('while the first request runs, repeated ones get 409 at once, and 50 of them delay no other merchant', async () => {
    const other = await addMerchant(system.database)
    // On a slow machine the first request may run into its time limit. Then the test tries another one.
    await waitFor(
      'the first request to succeed',
      async () => {
        const { request, effects, lock } = await prepare()
        const key = newKey()
        const held = await hold(lock)
        let isRunning = true
        const running = sendOnce({ ...request, key }).finally(() => {
          isRunning = false
        })
        await held.waitedFor()
        const sentAt = performance.now()
        const second = await sendOnce({ ...request, key, api: apis[1]! })
        const tookMs = performance.now() - sentAt
        const seconds = Array.from({ length: 50 }, (_, i) => sendOnce({ ...request, key, api: apis[i % 2]! }))
        const others = apis.map((api) =>
          sendOnce({ path: '/api/v1/orders', body: { amount: 100 }, headers: other.keys, api }),
        )
        const responses = [second, ...(await Promise.all(seconds))]
        const othersResponses = await Promise.all(others)
        const wasRunning = isRunning
        await held.release()
        const first = await running
        if (!wasRunning || first.status === 503) return false
        for (const response of responses) {
          expect(response.retryAfter).toMatch(/^[1-9]\d*$/)
          expect(errorOf(response)).toMatchObject({ status: 409, code: 'CONFLICT_ERROR' })
        }
        expect(tookMs).toBeLessThan(400)
        expect(othersResponses.map(({ status }) => status)).toEqual([201, 201])
        expect(first).toMatchObject({ status: done, replayed: null })
        expect(await send({ ...request, key })).toEqual({ ...first, replayed: 'true' })
        expect(await effects()).toBe(1)
        return true
      },
      { timeoutMs: 30_000 },
    )
  })

  test('after a kill of the API during a request the key is usable, and nothing was stored', async () => {
    const doomed = await system.startApi()
    const { request, effects, lock } = await prepare()
    const key = newKey()
    const held = await hold(lock)
    const lost = sendOnce({ ...request, key, api: doomed }).catch(() => undefined)
    await held.waitedFor()
    await doomed.stop('SIGKILL')
    expect(await lost).toBeUndefined()
    await held.release()
    // The lock of the killed process ends a little later; until then the response is 409.
    expect(await send({ ...request, key })).toMatchObject({ status: done, replayed: null })
    expect(await effects()).toBe(1)
  })
})
