// Acknowledged events are processed exactly once: with killed workers, several workers, or a start without Redis.
import {
  postEvents,
  queueBackends,
  SEEDED_MERCHANT_ID,
  seededRandom,
  startSystem,
  type TestSystem,
  volume,
  waitFor,
} from '@sluice/testing'
import { afterEach, describe, expect, inject, onTestFinished, test } from 'vitest'
import { startEndpoint } from './merchant-endpoint.fixture.ts'
import { findWronglyPublished } from './published-once.fixture.ts'

const random = seededRandom('kills of workers')
/** A limit of the test, not a promise: `worker-faults.deadline.e2e.test.ts` asserts the promised times. */
const SETTLE_TIMEOUT_MS = 90_000

let system: TestSystem
afterEach(() => system?.stop())

/** Every acknowledged event is processed once. */
async function expectAllProcessedOnce(acknowledged: ReadonlySet<string>): Promise<void> {
  expect(await system.settle(acknowledged, SETTLE_TIMEOUT_MS)).toEqual([])
}

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`with the queue on ${backend}`, () => {
    test('workers killed repeatedly by SIGKILL under load: each event is processed once and published once', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, workers: 1 })
      // The endpoint never responds, so that deliveries cost little: this test is about rows.
      const { url } = await startEndpoint(onTestFinished, () => {})
      await system.database.query('UPDATE merchants SET webhook_url = $2 WHERE id = $1', [
        SEEDED_MERCHANT_ID,
        url,
      ])
      const stop = new AbortController()
      const load = postEvents({
        url: () => system.api.url,
        signal: stop.signal,
        connections: 10,
        resend: true,
      })
      for (let kill = 0; kill < 4; kill++) {
        await new Promise((resolve) => setTimeout(resolve, 1000 + random() * 500))
        await system.workers.at(-1)!.stop('SIGKILL')
        await system.startWorker()
      }
      stop.abort()
      const ledger = await load
      expect(ledger.acknowledged.size).toBeGreaterThan(100)
      await expectAllProcessedOnce(ledger.acknowledged)
      expect(await findWronglyPublished(system.database)).toEqual([])
    })

    test('three workers at once process each event once', async () => {
      system = await startSystem({
        postgresUrl: inject('postgresUrl'),
        backend,
        workers: 3,
        env: { TRANSACTION_PROCESSING_DELAY_MS: '0', DISPATCH_INTERVAL_MS: '50' },
      })
      const ledger = await postEvents({
        url: () => system.api.url,
        count: volume(3000),
        connections: 100,
        resend: true,
      })
      await expectAllProcessedOnce(ledger.acknowledged)
    })
  })
}

describe.skipIf(!queueBackends.find(({ backend }) => backend === 'redis')?.available)('with Redis', () => {
  test('an API and a worker that start without Redis accept events, and process them once Redis runs', async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), backend: 'redis', workers: 0 })
    await system.redis!.stop()
    const [api] = await Promise.all([system.startApi(), system.startWorker()])
    const health = (await (await fetch(`${api.url}/health`)).json()) as { redis: string; status: string }
    expect(health).toMatchObject({ redis: 'disconnected', status: 'degraded' })
    const ledger = await postEvents({ url: () => api.url, count: 200, resend: true })
    expect(ledger.acknowledged.size).toBe(200)
    await system.redis!.start()
    await expectAllProcessedOnce(ledger.acknowledged)
    await waitFor('the API to be connected to Redis', async () => {
      const after = (await (await fetch(`${api.url}/health`)).json()) as { redis: string; status: string }
      return after.redis === 'connected' && after.status === 'healthy'
    })
  })
})
