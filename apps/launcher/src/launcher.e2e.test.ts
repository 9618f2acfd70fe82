// `npm start` as a whole: it leaves no process behind in any way of ending, and it restarts killed processes.
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { freePort, isAlive } from '@sluice/embedded-postgres'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Launched, type Running, until } from './launched.fixture.ts'

let dataDir: string
const dataDirs: string[] = []
let launched: Launched[]

beforeEach(() => {
  launched = []
})
afterEach(async () => {
  for (const { child } of launched) child.kill('SIGTERM')
  await Promise.all(launched.map(({ exited }) => exited))
})
afterAll(() => {
  for (const folder of dataDirs) rmSync(folder, { recursive: true })
})

/** Later starts begin without data. By default a start uses the data of the test before, which is quicker. */
function useEmptyDataDir(): void {
  dataDir = mkdtempSync(path.join(os.tmpdir(), 'sluice-e2e-'))
  dataDirs.push(dataDir)
}
useEmptyDataDir()

function launch(env: NodeJS.ProcessEnv = {}, command?: string[]): Launched {
  const started = new Launched({ DATA_DIR: dataDir, ...env }, command)
  launched.push(started)
  return started
}

const isHealthy = async (url: string) => {
  const response = await fetch(`${url}/health`).catch(() => undefined)
  return response?.status === 200
}
const showsPages = async (sluice: Launched) => {
  const response = await fetch(sluice.dashboard, { headers: { accept: 'text/html' } }).catch(() => undefined)
  return response?.status === 200 && (await response.text()).includes('<html')
}
/** Whether a page can reach the API through the page server. */
const reachesApi = async (sluice: Launched) =>
  (await fetch(new URL('/_api/live', sluice.dashboard)).catch(() => undefined))?.status === 200
/** Parts of command lines. `/bin/postgres` excludes the guard, whose command line has `postgres`, too. */
const parts = ['apps/api', 'apps/worker', 'apps/pages', '/bin/postgres']
const allGone = (processes: Running[]) => processes.every(({ pid }) => !isAlive(pid))

describe('stopping', { timeout: 240_000 }, () => {
  test.each([
    ['SIGTERM to the launcher', (sluice: Launched) => sluice.child.kill('SIGTERM')],
    ['Ctrl-C in its terminal', (sluice: Launched) => sluice.signalGroup('SIGINT')],
    [
      'closing its terminal',
      (sluice: Launched) => {
        sluice.child.stdout!.destroy()
        sluice.child.stderr!.destroy()
        sluice.signalGroup('SIGHUP')
      },
    ],
  ])('%s ends everything with exit code 0', async (_how, end) => {
    const sluice = launch()
    expect(await isHealthy(await sluice.running())).toBe(true)
    const processes = sluice.descendants()
    expect([await showsPages(sluice), await reachesApi(sluice)]).toEqual([true, true])
    for (const part of parts) sluice.descendant(part)
    end(sluice)
    expect(await sluice.exited).toBe(0)
    await until(() => allGone(processes), 3000)
  })

  test.each([
    ['SIGTERM to npm', (sluice: Launched) => sluice.child.kill('SIGTERM')],
    ['Ctrl-C in its terminal', (sluice: Launched) => sluice.signalGroup('SIGINT')],
  ])('under npm, %s ends everything with exit code 0', async (_how, end) => {
    const sluice = launch({}, ['npm', 'start'])
    await sluice.running()
    const processes = sluice.descendants()
    end(sluice)
    expect(await sluice.exited).toBe(0)
    await until(() => allGone(processes), 3000)
  })

  test('a signal during the start ends everything with exit code 0', async () => {
    useEmptyDataDir()
    for (const step of ['tsc', 'initdb', 'migrate.js', 'apps/api', 'apps/pages']) {
      const sluice = launch()
      await until(() => sluice.descendants().some(({ command }) => command.includes(step)))
      const processes = sluice.descendants()
      sluice.child.kill('SIGTERM')
      expect(await sluice.exited, step).toBe(0)
      await until(() => allGone(processes), 3000)
    }
  })

  test('after a SIGKILL of the launcher all its processes end, and the next start works', async () => {
    const sluice = launch()
    await sluice.running()
    const processes = sluice.descendants()
    sluice.child.kill('SIGKILL')
    const next = launch()
    expect(await isHealthy(await next.running())).toBe(true)
    await until(() => allGone(processes), 15_000)
  })
})

describe('starting', { timeout: 240_000 }, () => {
  test.each(['PORT', 'DASHBOARD_PORT', 'WORKER_METRICS_PORT'])(
    'a taken %s ends the start with one line that names the variable',
    async (variable) => {
      const port = await freePort()
      const listener = net.createServer().listen(port, '127.0.0.1')
      const sluice = launch({ [variable]: String(port) })
      expect(await sluice.exited).toBe(1)
      expect(sluice.output.trim()).toMatch(new RegExp(`^Port ${port} is taken: [^\n]* ${variable} [^\n]*$`))
      listener.close()
    },
  )

  test('one port for two listeners ends the start with one line that names both variables', async () => {
    const port = String(await freePort())
    const sluice = launch({ PORT: port, DASHBOARD_PORT: port })
    expect(await sluice.exited).toBe(1)
    expect(sluice.output.trim()).toMatch(/^PORT and DASHBOARD_PORT are both \d+: [^\n]*$/)
  })

  test('the page server reaches an API that listens on every address', async () => {
    const sluice = launch({ HOST: '0.0.0.0' })
    await sluice.running()
    expect(await reachesApi(sluice)).toBe(true)
  })

  test('all problems of the environment are reported at once', async () => {
    const sluice = launch({ PORT: 'eighty', SANDBOX: 'perhaps' })
    expect(await sluice.exited).toBe(1)
    expect(sluice.output).toMatch(/PORT must be/)
    expect(sluice.output).toMatch(/SANDBOX must be/)
  })

  test('with NODE_ENV=production Sluice starts, and the banner states that webhooks are refused', async () => {
    useEmptyDataDir()
    const sluice = launch({ NODE_ENV: 'production' })
    expect(await isHealthy(await sluice.running())).toBe(true)
    expect(sluice.output).toContain('SANDBOX is off')
  })
})

describe('supervising', { timeout: 240_000 }, () => {
  test('every app, and the database, is restarted after a SIGKILL', async () => {
    const sluice = launch()
    const url = await sluice.running()
    for (const name of parts) {
      const killed = sluice.descendant(name)
      process.kill(killed.pid, 'SIGKILL')
      await until(() =>
        sluice.descendants().some(({ pid, command }) => pid !== killed.pid && command.includes(name)),
      )
      await until(() => isHealthy(url))
      await until(async () => (await showsPages(sluice)) && reachesApi(sluice))
    }
    expect(sluice.output).toMatch(/The API was ended by SIGKILL; starting it again in 0.2 s\./)
    expect(sluice.output).toMatch(/The worker was ended by SIGKILL; starting it again/)
    expect(sluice.output).toMatch(/The dashboard was ended by SIGKILL; starting it again/)
    await until(() => sluice.output.includes('PostgreSQL is back.'))
  })
})
