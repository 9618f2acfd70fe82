// `npm start`, whole: whatever ends it, nothing stays behind; whatever dies in it, comes back.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { createClient } from '@sluice/contracts'
import { freePort, isAlive } from '@sluice/embedded-postgres'
import { openShop } from '@sluice/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Launched, type Running, until } from './launched.fixture.ts'

const root = path.resolve(import.meta.dirname, '../../..')
let dataDir: string
let launched: Launched[]

beforeEach(() => {
  dataDir = mkdtempSync(path.join(os.tmpdir(), 'sluice-e2e-'))
  launched = []
})
afterEach(async () => {
  for (const { child } of launched) child.kill('SIGTERM')
  await Promise.all(launched.map(({ exited }) => exited))
  rmSync(dataDir, { recursive: true })
})

function launch(env: NodeJS.ProcessEnv = {}, command?: string[]): Launched {
  const started = new Launched({ DATA_DIR: dataDir, ...env }, command)
  launched.push(started)
  return started
}

const answers = async (url: string) => {
  const response = await fetch(`${url}/health`).catch(() => undefined)
  return response?.status === 200
}
const showsPages = async (sluice: Launched) => {
  const response = await fetch(sluice.dashboard, { headers: { accept: 'text/html' } }).catch(() => undefined)
  return response?.status === 200 && (await response.text()).includes('<html')
}
/** The page's way to the API. */
const reachesApi = async (sluice: Launched) =>
  (await fetch(new URL('/_api/live', sluice.dashboard)).catch(() => undefined))?.status === 200
/** By their command lines; the guard's has `postgres` in it, too. */
const parts = ['apps/api', 'apps/worker', 'apps/pages', '/bin/postgres']
const allGone = (processes: Running[]) => processes.every(({ pid }) => !isAlive(pid))

test('the first minute: what it prints works, and 30 seconds after its 202 the transaction reads PROCESSED', async () => {
  const sluice = launch({ PROCESSING_DELAY_MIN: '0', PROCESSING_DELAY_MAX: '0' })
  const url = await sluice.running()
  const [, postUrl, body] =
    /curl -i (\S+\/v1\/webhooks\/transactions) -H 'content-type: application\/json' -d '(.*)'/.exec(
      sluice.output,
    )!
  const readUrl = /^ {2}curl (\S+\/v1\/transactions\/\S+)$/m.exec(sluice.output)![1]!
  expect(postUrl!.startsWith(url)).toBe(true)
  const headers = { 'content-type': 'application/json' }
  const post = (text: string) => fetch(postUrl!, { method: 'POST', headers, body: text })
  // A process has more to do for its first request than for any other.
  expect((await post(JSON.stringify({ ...JSON.parse(body!), transaction_id: 'first' }))).status).toBe(202)
  const startedAt = Date.now()
  expect((await post(body!)).status).toBe(202)
  expect(Date.now() - startedAt).toBeLessThan(1000)
  const read = async () =>
    (await (await fetch(readUrl)).json()) as { status: string; created_at: string; processed_at: string }
  expect(await read()).toMatchObject({ status: 'PROCESSING', processed_at: null })

  await expectPaidOrder(sluice, url)
  await expectTools(sluice)
  await expectSecondStartRefused(sluice, url)

  await until(async () => (await read()).status === 'PROCESSED', 35_000)
  const { created_at, processed_at } = await read()
  const lateMs = Date.parse(processed_at) - Date.parse(created_at) - 30_000
  expect(lateMs).toBeGreaterThanOrEqual(0)
  expect(lateMs).toBeLessThan(1000)

  sluice.child.kill('SIGTERM')
  await sluice.exited
  await expect(runTool('verify')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('npm start in another terminal'),
  })
}, 120_000)

/** An order is paid with the keys that it prints. */
async function expectPaidOrder(sluice: Launched, url: string): Promise<void> {
  const [, , key, secret] = merchantLine.exec(sluice.output)!
  const shop = openShop(createClient(url), { 'x-api-key': key!, 'x-api-secret': secret! })
  expect(await shop.paid(50_000)).toMatchObject({ status: 'success', amount: 50_000 })
}
const merchantLine = /Merchant +(\S+), X-Api-Key: (\S+), X-Api-Secret: (\S+)$/m

/** The operator's tools find its database. */
async function expectTools(sluice: Launched): Promise<void> {
  const [, email] = merchantLine.exec(sluice.output)!
  expect((await runTool('merchant', 'list')).stdout).toContain(email)
  expect((await runTool('verify')).stdout).toContain('All of it holds.')
}

const runTool = (script: string, ...args: string[]) =>
  promisify(execFile)(
    process.execPath,
    ['tools/run.mjs', '--database', `packages/core/dist/${script}.js`, ...args],
    { cwd: root, env: { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIR: dataDir } },
  )

/** A second start on the same data names the owner in one line and leaves it alone. */
async function expectSecondStartRefused(sluice: Launched, url: string): Promise<void> {
  const second = launch()
  expect(await second.exited).toBe(1)
  expect(second.output.trim()).toMatch(
    new RegExp(`^Sluice already runs on this data: process ${sluice.pid} at ${url}, since [^\n]*$`),
  )
  expect(await answers(url)).toBe(true)
}

describe('stopping', { timeout: 90_000 }, () => {
  test.each([
    ['SIGTERM to it', (sluice: Launched) => sluice.child.kill('SIGTERM')],
    ['Ctrl-C in its terminal', (sluice: Launched) => sluice.signalGroup('SIGINT')],
    [
      'its terminal closing',
      (sluice: Launched) => {
        sluice.child.stdout!.destroy()
        sluice.child.stderr!.destroy()
        sluice.signalGroup('SIGHUP')
      },
    ],
  ])('%s ends everything with exit code 0', async (_how, end) => {
    const sluice = launch()
    expect(await answers(await sluice.running())).toBe(true)
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

  test('a signal while it starts ends everything with exit code 0', async () => {
    for (const step of ['tsc', 'initdb', 'migrate.js', 'apps/api', 'apps/pages']) {
      const sluice = launch()
      await until(() => sluice.descendants().some(({ command }) => command.includes(step)))
      const processes = sluice.descendants()
      sluice.child.kill('SIGTERM')
      expect(await sluice.exited, step).toBe(0)
      await until(() => allGone(processes), 3000)
    }
  })

  test('when it is killed (-9) everything else ends too, and the next start takes over', async () => {
    const sluice = launch()
    await sluice.running()
    const processes = sluice.descendants()
    sluice.child.kill('SIGKILL')
    const next = launch()
    expect(await answers(await next.running())).toBe(true)
    await until(() => allGone(processes), 15_000)
  })
})

describe('starting', { timeout: 90_000 }, () => {
  test.each(['PORT', 'DASHBOARD_PORT', 'WORKER_METRICS_PORT'])(
    'a taken %s is one line that names it',
    async (variable) => {
      const port = await freePort()
      const listener = net.createServer().listen(port, '127.0.0.1')
      const sluice = launch({ [variable]: String(port) })
      expect(await sluice.exited).toBe(1)
      expect(sluice.output.trim()).toMatch(new RegExp(`^Port ${port} is taken: [^\n]* ${variable} [^\n]*$`))
      listener.close()
    },
  )

  test('two listeners on one port are one line that names both', async () => {
    const port = String(await freePort())
    const sluice = launch({ PORT: port, DASHBOARD_PORT: port })
    expect(await sluice.exited).toBe(1)
    expect(sluice.output.trim()).toMatch(/^PORT and DASHBOARD_PORT are both \d+: [^\n]*$/)
  })

  test('listening on every address, the page server still finds the API', async () => {
    const sluice = launch({ HOST: '0.0.0.0' })
    await sluice.running()
    expect(await reachesApi(sluice)).toBe(true)
  })

  test('every problem of the environment is reported at once', async () => {
    const sluice = launch({ PORT: 'eighty', SANDBOX: 'perhaps' })
    expect(await sluice.exited).toBe(1)
    expect(sluice.output).toMatch(/PORT must be/)
    expect(sluice.output).toMatch(/SANDBOX must be/)
  })

  test('with NODE_ENV=production it runs, and says that webhooks are refused', async () => {
    const sluice = launch({ NODE_ENV: 'production' })
    expect(await answers(await sluice.running())).toBe(true)
    expect(sluice.output).toContain('SANDBOX is off')
  })
})

describe('supervising', { timeout: 90_000 }, () => {
  test('an app or a database that is killed (-9) comes back', async () => {
    const sluice = launch()
    const url = await sluice.running()
    for (const name of parts) {
      const killed = sluice.descendant(name)
      process.kill(killed.pid, 'SIGKILL')
      await until(() =>
        sluice.descendants().some(({ pid, command }) => pid !== killed.pid && command.includes(name)),
      )
      await until(() => answers(url))
      await until(async () => (await showsPages(sluice)) && reachesApi(sluice))
    }
    expect(sluice.output).toMatch(/The API was ended by SIGKILL; starting it again in 0.2 s\./)
    expect(sluice.output).toMatch(/The worker was ended by SIGKILL; starting it again/)
    expect(sluice.output).toMatch(/The dashboard was ended by SIGKILL; starting it again/)
    await until(() => sluice.output.includes('PostgreSQL is back.'))
  })
})
