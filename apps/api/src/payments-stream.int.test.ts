// The streams of changes: listeners receive each change of any process, soon and at most once a second.
import { putWebhook, testWebhook } from '@sluice/contracts'
import { openShop, paymentEventBody, seededKeys, startSystem, untilKnown } from '@sluice/testing'
import { expect, inject, type TestContext, test } from 'vitest'
import { listenToChanges } from './streams.fixture.ts'

/** One system for each test, since most tests wait, side by side. */
async function start({ onTestFinished }: TestContext) {
  const system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
  onTestFinished(() => system.stop())
  return system
}

const post = (url: string, n: number) =>
  untilKnown(() =>
    fetch(`${url}/webhooks/payment`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(paymentEventBody(`evt_${n}`, `pay_${n}`)),
    }),
  )

async function until(isTrue: () => boolean, timeoutMs: number): Promise<number> {
  const startedAt = Date.now()
  while (!isTrue()) {
    if (Date.now() - startedAt > timeoutMs) throw new Error(`not within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return Date.now() - startedAt
}

test.concurrent('a change of another process arrives within 2 s, without data', async (context) => {
  const system = await start(context)
  const other = await system.startApi()
  const stream = await listenToChanges(system.api.url)
  expect(stream.response.headers.get('content-type')).toMatch('text/event-stream')
  await new Promise((resolve) => setTimeout(resolve, 3500)) // the initial notices are over then
  const before = stream.changes().length
  await post(other.url, 1)
  await until(() => stream.changes().length > before, 2000)
  expect(stream.changes().at(-1)!.text).toBe('event: change\ndata: \n\n')
  stream.stop()
})

test.concurrent('without changes the stream sends a comment every 15 s', async (context) => {
  const stream = await listenToChanges((await start(context)).api.url)
  await until(() => stream.received.some(({ text }) => /^: /m.test(text)), 17_000)
  expect(stream.changes().length).toBeLessThanOrEqual(2)
  stream.stop()
})

test.concurrent('without listeners the API does not poll PostgreSQL', async (context) => {
  const system = await start(context)
  const countReads = async () => {
    const [row] = await system.database.query<{ reads: number }>(
      `SELECT count(*)::int AS reads FROM pg_stat_activity
       WHERE application_name = 'sluice-api' AND datname = current_database() AND query LIKE '%external_payment_changes%' AND query_start > now() - interval '900 ms'`,
    )
    return row!.reads
  }
  expect(await countReads()).toBe(0)
  const stream = await listenToChanges(system.api.url)
  await until(() => stream.received.length > 0, 2000)
  await new Promise((resolve) => setTimeout(resolve, 600))
  expect(await countReads()).toBeGreaterThan(0)
  stream.stop()
  await new Promise((resolve) => setTimeout(resolve, 2000))
  expect(await countReads()).toBe(0)
})

test.concurrent("a merchant's stream sends changes of payments and webhooks by any process, and needs keys", async (context) => {
  const system = await start(context)
  expect((await fetch(`${system.api.url}/api/v1/stream`)).status).toBe(401)
  const shop = openShop(system.call)
  const { id } = await shop.order()
  const stream = await listenToChanges(system.api.url, '/api/v1/stream')
  expect(stream.response.headers.get('content-type')).toMatch('text/event-stream')
  const receives = async (change: () => Promise<unknown>) => {
    await new Promise((resolve) => setTimeout(resolve, 3500)) // the initial notices are over then
    const before = stream.changes().length
    await change()
    await until(() => stream.changes().length > before, 2000)
  }
  await receives(() => shop.pay(id))
  const body = { webhook_url: 'http://127.0.0.1:9/hook' }
  await untilKnown(() => system.call(putWebhook, { headers: seededKeys, body }))
  await receives(() => untilKnown(() => system.call(testWebhook, { headers: seededKeys })))
  await receives(() => system.startWorker()) // it settles the payment, and records an attempt
  expect(stream.changes().at(-1)!.text).toBe('event: change\ndata: \n\n')
  expect(await system.api.stop()).toEqual({ code: 0, signal: null })
  await stream.ended
})

test('under constant changes each listener gets at most one notice a second', async (context) => {
  const system = await start(context)
  const streams = await Promise.all(Array.from({ length: 3 }, () => listenToChanges(system.api.url)))
  const until = Date.now() + 4000
  for (let n = 0; Date.now() < until; n++) await post(system.api.url, n)
  for (const stream of streams) {
    const times = stream.changes().map(({ at }) => at)
    expect(times.length).toBeGreaterThanOrEqual(2)
    // Measured over the whole time, since a busy machine may send one notice late and the next in time.
    expect((times.length - 1) * 1000).toBeLessThanOrEqual(times.at(-1)! - times[0]! + 500)
    stream.stop()
  }
})

test('HEAD opens no stream', async (context) => {
  const { api } = await start(context)
  const response = await fetch(`${api.url}/payments/stream`, { method: 'HEAD' })
  expect(response.status).toBe(404)
})
