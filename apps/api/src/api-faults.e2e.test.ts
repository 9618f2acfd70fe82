// No acknowledged event is lost: the API is killed under load, and stopped with requests in flight.
import {
  type AppProcess,
  type Ledger,
  postEvents,
  queueBackends,
  seededRandom,
  startSystem,
  type TestSystem,
  waitFor,
} from '@sluice/testing'
import { afterEach, describe, expect, inject, test } from 'vitest'

const random = seededRandom('kills of the API')
/** A limit of the test, not a promise: `api-faults.deadline.e2e.test.ts` asserts the promised times. */
const SETTLE_TIMEOUT_MS = 90_000

let system: TestSystem

async function expectAllProcessedOnce({ acknowledged }: Ledger): Promise<void> {
  expect(await system.settle(acknowledged, SETTLE_TIMEOUT_MS)).toEqual([])
}

/** Requests got 202, or no response from a killed API. How many get a 503 depends on the other tests that run beside it. */
function expectOnlyAcceptedOrBroken({ statuses, acknowledged }: Ledger): void {
  expect([...statuses.keys()].filter((status) => ![0, 202, 503].includes(status))).toEqual([])
  expect(statuses.get(503) ?? 0).toBeLessThan(acknowledged.size / 4)
}

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`the API, with the queue on ${backend}`, () => {
    afterEach(() => system?.stop())

    test('every acknowledged event is processed once although the API is killed repeatedly under load', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend })
      let api: AppProcess = system.api
      const stop = new AbortController()
      const load = postEvents({ url: () => api.url, signal: stop.signal, connections: 50 })
      for (let kill = 0; kill < 3; kill++) {
        await new Promise((resolve) => setTimeout(resolve, 500 + random() * 500))
        await api.stop('SIGKILL')
        api = await system.startApi()
      }
      stop.abort()
      const ledger = await load
      expect(ledger.statuses.get(0)).toBeGreaterThan(0) // the kills broke requests
      expectOnlyAcceptedOrBroken(ledger)
      expect(ledger.acknowledged.size).toBeGreaterThan(100)
      await expectAllProcessedOnce(ledger)
    })

    test('an API that gets SIGTERM responds to all 100 requests in flight, and then exits with 0', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend })
      // Connections are opened first: a request on a new connection may not be in flight yet.
      await Promise.all(
        Array.from({ length: 100 }, () => fetch(`${system.api.url}/live`).then((r) => r.text())),
      )
      const session = await system.database.session()
      await session.query('BEGIN')
      await session.query('LOCK TABLE transactions IN EXCLUSIVE MODE')
      const load = postEvents({
        url: () => system.api.url,
        count: 100,
        connections: 100,
        kinds: ['transaction'],
      })
      await waitFor(
        'all 100 rows to wait for their commit',
        async () => {
          const metrics = await (await fetch(`${system.api.url}/metrics`)).text()
          return metrics.includes('sluice_ingest_open_rows{kind="transaction"} 100\n')
        },
        { intervalMs: 1 },
      )
      const stopped = system.api.stop()
      await session.query('COMMIT')
      await session.end()
      const ledger = await load
      // Each request has a response; 503 is correct if a slow machine needs half a second to get here.
      expect([...ledger.statuses.keys()].filter((status) => ![202, 503].includes(status))).toEqual([])
      expect([...ledger.statuses.values()].reduce((sum, count) => sum + count)).toBe(100)
      expect(await stopped).toEqual({ code: 0, signal: null })
      await expectAllProcessedOnce(ledger)
    })
  })
}
