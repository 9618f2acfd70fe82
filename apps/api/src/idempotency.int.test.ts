// Idempotency keys on every route that accepts them: a repeated request has one effect and one response.
import { randomUUID } from 'node:crypto'
import {
  type AppProcess,
  errorOf,
  openPosts,
  type Post,
  seededKeys,
  startSystem,
  type TestSystem,
} from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { holdLock, idempotentRoutes } from './idempotent-routes.fixture.ts'

let system: TestSystem
/** Two processes, so that the memory of one process has no effect on the result. */
let apis: AppProcess[]
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 1, env: { LOG_LEVEL: 'warn' } })
  apis = [system.api, await system.startApi()]
})
afterAll(() => system?.stop())

const send = (post: Post) => openPosts(system.api).send(post)
const sendOnce = (post: Post) => openPosts(system.api).sendOnce(post)
const newKey = () => randomUUID()

const storedKeys = (key: string) =>
  system.database.query<{ age: string; lives: number; status: number; response: string }>(
    `SELECT (now() - created_at)::text AS age, extract(epoch FROM expires_at - created_at)::float8 AS lives, status,
            response::text AS response FROM idempotency_keys WHERE key = $1`,
    [key],
  )

describe.each(idempotentRoutes)('$route', ({ done, again, prepare: prepareIn }) => {
  const prepare = () => prepareIn(system)

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
    for (const { prepare } of idempotentRoutes.filter(({ route }) => route !== 'payments of payers')) {
      const other = await prepare(system)
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

  test('after a kill of the API during a request the key is usable, and nothing was stored', async () => {
    const doomed = await system.startApi()
    const { request, effects, lock } = await prepare()
    const key = newKey()
    const held = await holdLock(system, lock)
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
