// Deadlines of workers that take over or stop, and of the API while Redis is emptied, restarted or down.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { postEvents, queueBackends, startSystem, type TestSystem, waitFor } from '@sluice/testing'
import { afterEach, describe, expect, inject, test } from 'vitest'

let system: TestSystem
afterEach(() => system?.stop())

/** Every acknowledged event is processed once. */
async function expectAllProcessedOnce(acknowledged: ReadonlySet<string>, timeoutMs: number): Promise<void> {
  expect(await system.settle(acknowledged, timeoutMs)).toEqual([])
}

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`with the queue on ${backend}`, () => {
    test('another worker takes over the running jobs of a worker killed by SIGKILL within 10 s', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, workers: 0 })
      const ledger = await postEvents({ url: () => system.api.url, count: 300, resend: true })
      const release = await lockRows(system)
      await system.startWorker()
      await waitFor(
        'jobs of both kinds to wait for a lock',
        async () => (await countBlockedKinds(system)) === 2,
      )
      const sessions = await workerSessions(system)
      await system.startWorker() // started now, so that the measured time excludes its start
      await system.workers[0]!.stop('SIGKILL')
      const killedAt = Date.now()
      // Otherwise the sessions of the killed worker commit after the release, and no job is left to take over.
      await system.database.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [
        sessions,
      ])
      await waitFor('its sessions to end', async () => {
        const left = await workerSessions(system)
        return sessions.every((pid) => !left.includes(pid))
      })
      expect(await system.completions()).toEqual([])
      await release()
      await expectAllProcessedOnce(ledger.acknowledged, 10_000)
      expect(Date.now() - killedAt).toBeLessThan(10_000)
    })

    test('a worker that gets SIGTERM ends its running jobs and exits with 0 within 10 s; the next worker continues', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, workers: 0 })
      const ledger = await postEvents({ url: () => system.api.url, count: 500, resend: true })
      const release = await lockRows(system)
      await system.startWorker()
      await waitFor(
        'jobs of both kinds to wait for a lock',
        async () => (await countBlockedKinds(system)) === 2,
      )
      const startedAt = Date.now()
      const stopped = system.workers[0]!.stop()
      await waitFor('the log line of the stop', () => system.workers[0]!.output().includes('stopping'))
      await release()
      expect(await stopped).toEqual({ code: 0, signal: null })
      expect(Date.now() - startedAt).toBeLessThan(10_000)
      expect((await system.completions()).length).toBeGreaterThan(0)
      await system.startWorker()
      await expectAllProcessedOnce(ledger.acknowledged, 15_000)
    })
  })
}

describe.skipIf(!queueBackends.find(({ backend }) => backend === 'redis')?.available)('with Redis', () => {
  const underLoad = async (fault: () => Promise<void>) => {
    const stop = new AbortController()
    const pauses = monitorEventLoopDelay({ resolution: 10 })
    pauses.enable()
    const load = postEvents({
      url: () => system.api.url,
      signal: stop.signal,
      connections: 10,
      resend: true,
    })
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await fault()
    await new Promise((resolve) => setTimeout(resolve, 1500))
    stop.abort()
    const ledger = await load
    pauses.disable()
    // A slow disk may cause a few 503s; a fault of Redis causes none.
    expect([...ledger.statuses.keys()].filter((status) => ![202, 503].includes(status))).toEqual([])
    expect(ledger.statuses.get(503) ?? 0).toBeLessThan(ledger.acknowledged.size / 100)
    // Pauses of this test process are not part of the API's time.
    expect(ledger.slowest.ms - pauses.max / 1_000_000, JSON.stringify(ledger.slowest)).toBeLessThan(1000)
    return ledger
  }

  test('a Redis emptied twice under load: the API still responds 202, and no event is lost', async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), backend: 'redis' })
    const ledger = await underLoad(async () => {
      await system.redis!.flush()
      await new Promise((resolve) => setTimeout(resolve, 700))
      await system.redis!.flush()
    })
    await expectAllProcessedOnce(ledger.acknowledged, 30_000)
    const metrics = await (await fetch(`${system.workers[0]!.url}/metrics`)).text()
    expect(metrics).toMatch(/sluice_dispatched_total\{kind="transaction",cause="lost"\} [1-9]/) // jobs were lost and enqueued again
  })

  test('a Redis stopped and restarted empty under load: the API still responds 202, and no event is lost', async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), backend: 'redis' })
    const ledger = await underLoad(async () => {
      await system.redis!.stop()
      await new Promise((resolve) => setTimeout(resolve, 2000))
      await system.redis!.start()
    })
    await expectAllProcessedOnce(ledger.acknowledged, 30_000)
  })

  test('without Redis, the API and the worker exit with 0 within 10 s of SIGTERM', async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), backend: 'redis' })
    await postEvents({ url: () => system.api.url, count: 100 })
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

/** Locks every row with work left, in a session of the test's own; returns the release. */
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

/** The server pids of the database sessions of all workers. */
async function workerSessions({ database }: TestSystem): Promise<number[]> {
  const rows = await database.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice-worker' AND datname = current_database()`,
  )
  return rows.map(({ pid }) => pid)
}

/** The number of tables whose rows a worker waits for. */
async function countBlockedKinds({ database }: TestSystem): Promise<number> {
  const [row] = await database.query<{ kinds: number }>(
    `SELECT count(DISTINCT substring(query FROM 'UPDATE (transactions|payment_events) AS'))::int AS kinds FROM pg_stat_activity
     WHERE application_name = 'sluice-worker' AND wait_event_type = 'Lock' AND datname = current_database()`,
  )
  return row?.kinds ?? 0
}
