// Workers take over from a killed one, and stop, within their limits; the API responds in time while Redis is emptied or away.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { postDeliveries, queueBackends, startSystem, type TestSystem, waitFor } from '@sluice/testing'
import { afterEach, describe, expect, inject, test } from 'vitest'

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
