// Later attempts of a delivery: Retry-After, changed settings, manual retries and replays.
import type http from 'node:http'
import { putWebhook, regenerateWebhookSecret, replayWebhooks } from '@sluice/contracts'
import { expectStatus, startSystem, type TestSystem, waitFor } from '@sluice/testing'
import { verify } from '@sluice/webhooks'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { Received } from './merchant-endpoint.fixture.ts'
import { deliveriesOf, endpointThat, FIRST_WAIT_MS, fails } from './webhook-attempts.fixture.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl') })
})
afterAll(() => system?.stop())

const { merchantAt, addTest, read, retry, attempted, makeDue } = deliveriesOf(() => system)

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
