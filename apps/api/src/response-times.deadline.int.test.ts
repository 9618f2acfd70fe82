// Times of the API's responses and of its shutdown while something else waits, hangs or fails.
import { randomUUID } from 'node:crypto'
import type { Accepted } from '@sluice/contracts'
import {
  type AppProcess,
  addMerchant,
  errorOf,
  openPosts,
  type Post,
  startSystem,
  type TestSystem,
  transactionBody,
  untilAllKnown,
  untilKnown,
  waitFor,
} from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { holdLock, idempotentRoutes } from './idempotent-routes.fixture.ts'
import { listenToChanges } from './streams.fixture.ts'
import {
  type AtEnd,
  postEventOnce,
  postTransactionUntilKnown,
  startCollectorServer,
  startTracedSystem,
} from './tracing.fixture.ts'

let system: TestSystem
/** Two processes, so that the memory of one process has no effect on the result. */
let apis: AppProcess[]
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 1, env: { LOG_LEVEL: 'warn' } })
  apis = [system.api, await system.startApi()]
})
afterAll(() => system?.stop())

describe.each(idempotentRoutes)('$route', ({ done, prepare }) => {
  const send = (post: Post) => openPosts(system.api).send(post)
  const sendOnce = (post: Post) => openPosts(system.api).sendOnce(post)

  test('while the first request runs, repeated ones get 409 at once, and 50 of them delay no other merchant', async () => {
    const other = await addMerchant(system.database)
    // On a slow machine the first request may run into its time limit. Then the test tries another one.
    await waitFor(
      'the first request to succeed',
      async () => {
        const { request, effects, lock } = await prepare(system)
        const key = randomUUID()
        const held = await holdLock(system, lock)
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
})

const postTransactionOnce = async (body: object) => {
  const response = await postEventOnce(system, '/v1/webhooks/transactions', body)
  return { status: response.status, body: (await response.json()) as Partial<Accepted> }
}

test('while conflicts cannot be stored, they get 503 and delay no other event', async () => {
  await untilKnown(() => postTransactionOnce(transactionBody('txn_locked', { amount: 1 })))
  const session = await system.database.session()
  await session.query('BEGIN')
  await session.query('LOCK TABLE conflicts IN EXCLUSIVE MODE')
  const contradict = async (amount: number) => {
    const startedAt = Date.now()
    const { status } = await postTransactionOnce(transactionBody('txn_locked', { amount }))
    return { status, ms: Date.now() - startedAt }
  }
  let contradicting: Awaited<ReturnType<typeof contradict>>[] = []
  const others = await untilAllKnown(async (before) => {
    const refused = Promise.all([2, 3, 4, 5, 6].map(contradict))
    const responses = await Promise.all(
      Array.from({ length: 50 }, (_, n) => postTransactionOnce(transactionBody(`txn_free_${before}_${n}`))),
    )
    contradicting = await refused
    return responses
  })
  expect(others.map(({ status }) => status)).toEqual(Array(50).fill(202))
  for (const { status, ms } of contradicting) {
    expect(status).toBe(503)
    expect(ms).toBeLessThan(1000)
  }
  await session.query('COMMIT')
  await session.end()
  const { body } = await untilKnown(() => postTransactionOnce(transactionBody('txn_locked', { amount: 2 })))
  expect(body).toMatchObject({ conflict: true })
})

test('streams end first at shutdown and do not delay it', async () => {
  const api = await system.startApi()
  const streams = await Promise.all(Array.from({ length: 5 }, () => listenToChanges(api.url)))
  const startedAt = Date.now()
  expect(await api.stop()).toEqual({ code: 0, signal: null })
  expect(Date.now() - startedAt).toBeLessThan(3000)
  await Promise.all(streams.map(({ ended }) => ended))
})

const brokenCollectors: { collector: string; start: (atEnd: AtEnd) => Promise<string> }[] = [
  { collector: 'does not exist', start: () => unusedAddress() },
  { collector: 'never responds', start: (atEnd) => startCollectorServer(atEnd, () => {}) },
  {
    collector: 'responds 500',
    start: (atEnd) => startCollectorServer(atEnd, (_, response) => response.writeHead(500).end()),
  },
]
test.for(brokenCollectors)(
  'a collector that $collector has no effect on requests, is reported once, and does not delay the shutdown',
  async ({ start }, { onTestFinished }) => {
    const system = await startTracedSystem(onTestFinished, await start(onTestFinished))
    const posted = await untilKnown(async () => {
      const startedAt = performance.now()
      const { status } = await postEventOnce(
        system,
        '/v1/webhooks/transactions',
        transactionBody('txn_untraced'),
      )
      return { status, tookMs: performance.now() - startedAt }
    })
    expect(posted.status).toBe(202)
    expect(posted.tookMs).toBeLessThan(1000)
    await waitFor('the processing', async () => (await system.completions()).length === 1)
    await waitFor('both reports', () => apps(system).every((app) => reports(app.output()) === 1))

    expect((await postTransactionUntilKnown(system, 'txn_after')).status).toBe(202)
    await waitFor('the processing', async () => (await system.completions()).length === 2)
    const stoppingAt = performance.now()
    const ends = await Promise.all(apps(system).map((app) => app.stop()))
    expect(ends).toEqual(ends.map(() => ({ code: 0, signal: null })))
    expect(performance.now() - stoppingAt).toBeLessThan(4000)
    for (const app of apps(system)) expect(reports(app.output())).toBe(1)
  },
)

const apps = ({ api, workers }: TestSystem) => [api, ...workers]
const reports = (output: string) => output.split('the collector does not accept traces').length - 1

async function unusedAddress(): Promise<string> {
  let stop: () => Promise<void> | void = () => {}
  const url = await startCollectorServer(
    (end) => {
      stop = end
    },
    () => {},
  )
  await stop()
  return url
}
