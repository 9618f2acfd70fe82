// A worker that may open only six connections at first: it waits with little CPU, responds, and processes later.
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type AppProcess, postEvents, startApp, startSystem, type TestSystem, waitFor } from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, inject, type TestContext, test } from 'vitest'

describe.concurrent('a worker whose first connections to the queue are refused', () => {
  let system: TestSystem
  beforeAll(async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
  })
  afterAll(() => system.stop())

  /** A worker of a role with the owner's rights, which may open six connections. */
  async function startLimitedWorker({ onTestFinished }: TestContext) {
    const role = `test_${randomBytes(6).toString('hex')}`
    const { database, env } = system
    await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret' CONNECTION LIMIT 6 IN ROLE postgres`)
    const url = Object.assign(new URL(database.url), { username: role, password: 'secret' }).href
    const worker = await startApp('worker', { ...env, DATABASE_URL: url })
    onTestFinished(async () => {
      await worker.stop('SIGKILL')
      await waitFor('its sessions to end', async () => {
        const sessions = await database.query('SELECT FROM pg_stat_activity WHERE usename = $1', [role])
        return sessions.length === 0
      })
      await database.query(`DROP ROLE ${role}`)
    })
    await waitFor('a refusal', () => /too many connections for role/.test(worker.output()))
    return { worker, lift: () => database.query(`ALTER ROLE ${role} CONNECTION LIMIT -1`) }
  }

  test('uses little CPU, and processes jobs within 20 s of the end of the limit', async (context) => {
    const ledger = await postEvents({ url: () => system.api.url, count: 20 })
    const { worker, lift } = await startLimitedWorker(context)
    const [before, startedAt] = [await cpuSeconds(worker), performance.now()]
    await pause(2500)
    const used = (await cpuSeconds(worker)) - before
    expect((1000 * used) / (performance.now() - startedAt), 'share of a core').toBeLessThan(0.4)
    await lift()
    expect(await system.settle(ledger.acknowledged, 20_000)).toEqual([])
  })

  test('ends with code 0 on SIGTERM', async (context) => {
    const { worker } = await startLimitedWorker(context)
    const startedAt = Date.now()
    expect(await worker.stop()).toEqual({ code: 0, signal: null })
    expect(Date.now() - startedAt).toBeLessThan(10_000)
  })
})

/** CPU time so far, from the worker's own metrics: a response shows that its event loop runs. */
async function cpuSeconds({ url }: AppProcess): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) })).text()
  return Number(/^\S*process_cpu_seconds_total (\S+)$/m.exec(metrics)?.[1])
}
