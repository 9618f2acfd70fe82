// What was acknowledged is never lost and takes effect exactly once: workers killed, Redis emptied, stopped and restarted.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import {
  postDeliveries,
  queueBackends,
  SEEDED_MERCHANT_ID,
  startSystem,
  type TestSystem,
  volume,
  waitFor,
} from '@sluice/testing'
import { afterEach, describe, expect, inject, onTestFinished, test } from 'vitest'
import { startEndpoint } from './merchant-endpoint.fixture.ts'
import { findWronglyPublished } from './published-once.fixture.ts'

let system: TestSystem
afterEach(() => system?.stop())

/** Everything acknowledged took effect, once. */
async function expectAllProcessedOnce(acknowledged: ReadonlySet<string>, timeoutMs: number): Promise<void> {
  expect(await system.settle(acknowledged, timeoutMs)).toEqual([])
}

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`with the queue on ${backend}`, () => {
    test('a worker killed with -9 in the middle of its jobs: another takes them over within 10 s', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, workers: 0 })
      const ledger = await postDeliveries({ url: () => system.api.url, count: 300, resend: true })
      const release = await lockRows(system)
      await system.startWorker()
      await waitFor('jobs of both kinds to be held up', async () => (await heldUpKinds(system)) === 2)
      const sessions = await workerSessions(system)
      await system.startWorker() // now, since that it takes a while to start is not what is measured
      await system.workers[0]!.stop('SIGKILL')
      const killedAt = Date.now()
      // Its sessions would end the transactions they wait for: then nothing would be left to take over.
      await system.database.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [
        sessions,
      ])
      await waitFor('them to be over', async () => {
        const left = await workerSessions(system)
        return sessions.every((pid) => !left.includes(pid))
      })
      expect(await system.endings()).toEqual([])
      await release()
      await expectAllProcessedOnce(ledger.acknowledged, 10_000)
      expect(Date.now() - killedAt).toBeLessThan(10_000)
    })

    test('workers killed with -9 again and again under load: nothing is lost, processed or told twice', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, workers: 1 })
      // It never answers, so that what matters here, the rows, cost little to deliver.
      const { url } = await startEndpoint(onTestFinished, () => {})
      await system.database.query('UPDATE merchants SET webhook_url = $2 WHERE id = $1', [
        SEEDED_MERCHANT_ID,
        url,
      ])
      const stop = new AbortController()
      const load = postDeliveries({
        url: () => system.api.url,
        signal: stop.signal,
        connections: 10,
        resend: true,
      })
      for (let kill = 0; kill < 4; kill++) {
        await new Promise((resolve) => setTimeout(resolve, 1000 + Math.random() * 500))
        await system.workers.at(-1)!.stop('SIGKILL')
        await system.startWorker()
      }
      stop.abort()
      const ledger = await load
      expect(ledger.acknowledged.size).toBeGreaterThan(100)
      await expectAllProcessedOnce(ledger.acknowledged, 15_000)
      expect(await findWronglyPublished(system.database)).toEqual([])
    })

    test('SIGTERM to a worker: running jobs end, it exits with 0 in time, the next one goes on', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, workers: 0 })
      const ledger = await postDeliveries({ url: () => system.api.url, count: 500, resend: true })
      const release = await lockRows(system)
      await system.startWorker()
      await waitFor('jobs of both kinds to be held up', async () => (await heldUpKinds(system)) === 2)
      const startedAt = Date.now()
      const stopped = system.workers[0]!.stop()
      await waitFor('it to be stopping', () => system.workers[0]!.output().includes('stopping'))
      await release()
      expect(await stopped).toEqual({ code: 0, signal: null })
      expect(Date.now() - startedAt).toBeLessThan(10_000)
      expect((await system.endings()).length).toBeGreaterThan(0)
      await system.startWorker()
      await expectAllProcessedOnce(ledger.acknowledged, 15_000)
    })

    test('three workers at once share the work without doing any of it twice', async () => {
      system = await startSystem({
        postgresUrl: inject('postgresUrl'),
        backend,
        workers: 3,
        env: { TRANSACTION_PROCESSING_DELAY_MS: '0', DISPATCH_INTERVAL_MS: '50' },
      })
      const ledger = await postDeliveries({
        url: () => system.api.url,
        count: volume(3000),
        connections: 100,
        resend: true,
      })
      await expectAllProcessedOnce(ledger.acknowledged, 20_000)
    })
  })
}

describe.skipIf(!queueBackends.find(({ backend }) => backend === 'redis')?.available)('Redis', () => {
  const underLoad = async (what: () => Promise<void>) => {
    const stop = new AbortController()
    const pauses = monitorEventLoopDelay({ resolution: 10 })
    pauses.enable()
    const load = postDeliveries({
      url: () => system.api.url,
      signal: stop.signal,
      connections: 10,
      resend: true,
    })
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await what()
    await new Promise((resolve) => setTimeout(resolve, 1500))
    stop.abort()
    const ledger = await load
    pauses.disable()
    // A slow disk may cost a 503 now and then; Redis may not.
    expect([...ledger.statuses.keys()].filter((status) => ![202, 503].includes(status))).toEqual([])
    expect(ledger.statuses.get(503) ?? 0).toBeLessThan(ledger.acknowledged.size / 100)
    // What this process itself was held up is not the API's doing.
    expect(ledger.slowest.ms - pauses.max / 1_000_000, JSON.stringify(ledger.slowest)).toBeLessThan(1000)
    return ledger
  }

  test('emptied under load, twice: 202s go on, nothing is lost', async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), backend: 'redis' })
    const ledger = await underLoad(async () => {
      await system.redis!.flush()
      await new Promise((resolve) => setTimeout(resolve, 700))
      await system.redis!.flush()
    })
    await expectAllProcessedOnce(ledger.acknowledged, 30_000)
    const metrics = await (await fetch(`${system.workers[0]!.url}/metrics`)).text()
    expect(metrics).toMatch(/sluice_dispatched_total\{kind="transaction",cause="lost"\} [1-9]/) // it was felt
  })

  test('stopped and restarted, empty, under load: 202s go on, nothing is lost', async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), backend: 'redis' })
    const ledger = await underLoad(async () => {
      await system.redis!.stop()
      await new Promise((resolve) => setTimeout(resolve, 2000))
      await system.redis!.start()
    })
    await expectAllProcessedOnce(ledger.acknowledged, 30_000)
  })

  test('away when API and worker are asked to stop: both exit with 0 in time', async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), backend: 'redis' })
    await postDeliveries({ url: () => system.api.url, count: 100 })
    await system.redis!.stop()
    const startedAt = Date.now()
    const ends = await Promise.all([system.api.stop(), system.workers[0]!.stop()])
    expect(ends).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ])
    expect(Date.now() - startedAt).toBeLessThan(10_000)
  })

  test('away when API and worker start: deliveries are taken, and processed once it comes', async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), backend: 'redis', workers: 0 })
    await system.redis!.stop()
    const [api] = await Promise.all([system.startApi(), system.startWorker()])
    const health = (await (await fetch(`${api.url}/health`)).json()) as { redis: string; status: string }
    expect(health).toMatchObject({ redis: 'disconnected', status: 'degraded' })
    const ledger = await postDeliveries({ url: () => api.url, count: 200, resend: true })
    expect(ledger.acknowledged.size).toBe(200)
    await system.redis!.start()
    await expectAllProcessedOnce(ledger.acknowledged, 20_000)
    await waitFor('the API to have found it, too', async () => {
      const after = (await (await fetch(`${api.url}/health`)).json()) as { redis: string; status: string }
      return after.redis === 'connected' && after.status === 'healthy'
    })
  })
})

/** Locks every row with work left from a session of the test's own; answers how to let go. */
async function lockRows({ database }: TestSystem): Promise<() => Promise<void>> {
  const session = await database.session()
  await session.query('BEGIN')
  await session.query('SELECT 1 FROM transactions WHERE processed_at IS NULL FOR UPDATE')
  await session.query('SELECT 1 FROM payment_events WHERE followed_up_at IS NULL FOR UPDATE')
  return async () => {
    await session.query('COMMIT')
    await session.end()
  }
}

/** The database sessions of all workers, by their servers' pids. */
async function workerSessions({ database }: TestSystem): Promise<number[]> {
  const rows = await database.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice-worker' AND datname = current_database()`,
  )
  return rows.map(({ pid }) => pid)
}

/** Of how many tables rows are waited for. */
async function heldUpKinds({ database }: TestSystem): Promise<number> {
  const [row] = await database.query<{ kinds: number }>(
    `SELECT count(DISTINCT substring(query FROM 'UPDATE (transactions|payment_events) AS'))::int AS kinds FROM pg_stat_activity
     WHERE application_name = 'sluice-worker' AND wait_event_type = 'Lock' AND datname = current_database()`,
  )
  return row?.kinds ?? 0
}
