// The stream of changes: who listens hears of every change, by whatever process, soon and not too often.
import { putWebhook, testWebhook } from '@sluice/contracts'
import { openShop, paymentEventBody, seededKeys, startSystem, untilKnown } from '@sluice/testing'
import { expect, inject, type TestContext, test } from 'vitest'

/** One for each test, since most of them wait, side by side. */
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

/** Collects what the stream says, with the time of each piece. */
async function listen(url: string, path = '/payments/stream') {
  const stop = new AbortController()
  const response = await fetch(url + path, { signal: stop.signal, headers: seededKeys })
  const heard: Array<{ at: number; text: string }> = []
  const ended = (async () => {
    for await (const chunk of response.body!)
      heard.push({ at: Date.now(), text: Buffer.from(chunk).toString() })
  })().catch(() => {})
  const changes = () => heard.filter(({ text }) => text.includes('event: change\n'))
  return { response, heard, changes, ended, stop: () => stop.abort() }
}

async function until(what: () => boolean, timeoutMs: number): Promise<number> {
  const startedAt = Date.now()
  while (!what()) {
    if (Date.now() - startedAt > timeoutMs) throw new Error(`not within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return Date.now() - startedAt
}

test.concurrent('a change by another process is heard within 2 s, and says only that there was one', async (context) => {
  const system = await start(context)
  const other = await system.startApi()
  const stream = await listen(system.api.url)
  expect(stream.response.headers.get('content-type')).toMatch('text/event-stream')
  await new Promise((resolve) => setTimeout(resolve, 3500)) // what is told at first is told
  const before = stream.changes().length
  await post(other.url, 1)
  await until(() => stream.changes().length > before, 2000)
  expect(stream.changes().at(-1)!.text).toBe('event: change\ndata: \n\n')
  stream.stop()
})

test.concurrent('while nothing changes it says so every 15 s, with a comment', async (context) => {
  const stream = await listen((await start(context)).api.url)
  await until(() => stream.heard.some(({ text }) => /^: /m.test(text)), 17_000)
  expect(stream.changes().length).toBeLessThanOrEqual(2)
  stream.stop()
})

test.concurrent('nobody listening, nobody asks PostgreSQL', async (context) => {
  const system = await start(context)
  const asked = async () => {
    const [row] = await system.database.query<{ reads: number }>(
      `SELECT count(*)::int AS reads FROM pg_stat_activity
       WHERE application_name = 'sluice-api' AND datname = current_database() AND query LIKE '%external_payment_changes%' AND query_start > now() - interval '900 ms'`,
    )
    return row!.reads
  }
  expect(await asked()).toBe(0)
  const stream = await listen(system.api.url)
  await until(() => stream.heard.length > 0, 2000)
  await new Promise((resolve) => setTimeout(resolve, 600))
  expect(await asked()).toBeGreaterThan(0)
  stream.stop()
  await new Promise((resolve) => setTimeout(resolve, 2000))
  expect(await asked()).toBe(0)
})

test.concurrent("a merchant's stream tells of payments and webhooks, whoever changes them, and of nothing without keys", async (context) => {
  const system = await start(context)
  expect((await fetch(`${system.api.url}/api/v1/stream`)).status).toBe(401)
  const shop = openShop(system.call)
  const { id } = await shop.order()
  const stream = await listen(system.api.url, '/api/v1/stream')
  expect(stream.response.headers.get('content-type')).toMatch('text/event-stream')
  const hears = async (change: () => Promise<unknown>) => {
    await new Promise((resolve) => setTimeout(resolve, 3500)) // what is told at first is told
    const before = stream.changes().length
    await change()
    await until(() => stream.changes().length > before, 2000)
  }
  await hears(() => shop.pay(id))
  const body = { webhook_url: 'http://127.0.0.1:9/nobody' }
  await untilKnown(() => system.call(putWebhook, { headers: seededKeys, body }))
  await hears(() => untilKnown(() => system.call(testWebhook, { headers: seededKeys })))
  await hears(() => system.startWorker()) // it settles the payment, and records an attempt
  expect(stream.changes().at(-1)!.text).toBe('event: change\ndata: \n\n')
  expect(await system.api.stop()).toEqual({ code: 0, signal: null })
  await stream.ended
})

test('under a stream of changes it is heard at most once a second, by every listener', async (context) => {
  const system = await start(context)
  const streams = await Promise.all(Array.from({ length: 3 }, () => listen(system.api.url)))
  const until = Date.now() + 4000
  for (let n = 0; Date.now() < until; n++) await post(system.api.url, n)
  for (const stream of streams) {
    const times = stream.changes().map(({ at }) => at)
    expect(times.length).toBeGreaterThanOrEqual(2)
    // Over all of it, as a busy machine may bring one late and the next one in time.
    expect((times.length - 1) * 1000).toBeLessThanOrEqual(times.at(-1)! - times[0]! + 500)
    stream.stop()
  }
})

test('HEAD opens no stream, which nobody would ever close', async (context) => {
  const { api } = await start(context)
  const response = await fetch(`${api.url}/payments/stream`, { method: 'HEAD' })
  expect(response.status).toBe(404)
})

test('streams end first at shutdown, which they do not hold up', async (context) => {
  const system = await start(context)
  const streams = await Promise.all(Array.from({ length: 5 }, () => listen(system.api.url)))
  const startedAt = Date.now()
  expect(await system.api.stop()).toEqual({ code: 0, signal: null })
  expect(Date.now() - startedAt).toBeLessThan(3000)
  await Promise.all(streams.map(({ ended }) => ended))
})
