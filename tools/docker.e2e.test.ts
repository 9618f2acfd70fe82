// What the images hold and run, built by docker-check's stand-in for Docker: no development packages in them, and API,
// worker and dashboard start from what is left, in production mode, and work together.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { createClient, getTransaction, postTransaction } from '@sluice/contracts'
import { type EmbeddedPostgres, freePort, startEmbeddedPostgres } from '@sluice/embedded-postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildImages, OUR_IMAGES } from './docker-check.mjs'

type Image = {
  folder: string
  workdir: string
  env: Record<string, string>
  cmd: string[]
  healthcheck: string[]
}

const folder = mkdtempSync(path.join(existsSync('/var/tmp') ? '/var/tmp' : os.tmpdir(), 'sluice-images-'))
const running: ChildProcess[] = []
let images: { api: Image; worker: Image; dashboard: Image }
let postgres: EmbeddedPostgres

beforeAll(async () => {
  chmodSync(folder, 0o755) // started by root, PostgreSQL runs as somebody else
  const [api, worker, dashboard] = (await buildImages(OUR_IMAGES, path.join(folder, 'images'))) as Image[]
  images = { api: api!, worker: worker!, dashboard: dashboard! }
  postgres = await startEmbeddedPostgres({
    dataDir: path.join(folder, 'postgres'),
    database: 'images',
    durable: false,
  })
}, 360_000)

afterAll(async () => {
  for (const child of running) child.kill('SIGKILL')
  await postgres?.stop()
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}, 120_000)

test.each(['api', 'worker', 'dashboard'] as const)('the %s image has no development packages', (app) => {
  const modules = path.join(images[app].folder, 'app', 'node_modules')
  const { packages } = JSON.parse(readFileSync(path.join(modules, '.package-lock.json'), 'utf8'))
  const development = Object.entries<{ dev?: boolean; devOptional?: boolean; optional?: boolean }>(packages)
    .filter(([, { dev, devOptional, optional }]) => dev || devOptional || optional)
    .map(([name]) => name)
  expect(development).toEqual([])
  for (const name of [
    'typescript',
    'vitest',
    '@biomejs',
    'prisma',
    'embedded-postgres',
    '@embedded-postgres',
    'react',
    'vite',
  ]) {
    expect(existsSync(path.join(modules, name)), name).toBe(false)
  }
})

test('all start from their images, are healthy, and process a transaction together', async () => {
  const port = await freePort()
  const settings = {
    DATABASE_URL: postgres.url,
    HOST: '127.0.0.1',
    PORT: String(port),
    DASHBOARD_PORT: String(await freePort()),
    API_URL: `http://127.0.0.1:${port}`,
    WORKER_METRICS_PORT: String(await freePort()),
    SANDBOX: 'true',
    TRANSACTION_PROCESSING_DELAY_MS: '0',
    LOG_LEVEL: 'warn',
  }
  expect(images.api.env.NODE_ENV).toBe('production')
  const api = start(images.api, settings)
  await healthy(images.api, settings, api)
  const worker = start(images.worker, settings)
  await healthy(images.worker, settings, worker)
  const dashboard = start(images.dashboard, settings)
  await healthy(images.dashboard, settings, dashboard)

  const call = createClient(`http://127.0.0.1:${port}`)
  const body = {
    transaction_id: 'txn_from_an_image',
    source_account: 'acc_user_1',
    destination_account: 'acc_merchant_1',
    amount: 150.5,
    currency: 'INR',
  }
  expect((await call(postTransaction, { body })).status).toBe(202)
  await expect
    .poll(async () => (await call(getTransaction, { params: body })).body, { timeout: 15_000 })
    .toMatchObject({ ...body, status: 'PROCESSED' })

  const pages = `http://127.0.0.1:${settings.DASHBOARD_PORT}`
  const page = await (await fetch(`${pages}/payments`)).text()
  const [, script] = /<script type="module"[^>]* src="(\/assets\/[^"]+)"/.exec(page)!
  expect((await fetch(pages + script)).headers.get('content-type')).toMatch(/javascript/)
  const read = await fetch(`${pages}/_api/v1/transactions/${body.transaction_id}`)
  expect(await read.json()).toMatchObject({ ...body, status: 'PROCESSED' })

  for (const { child, output } of [dashboard, worker, api]) {
    child.kill('SIGTERM') // what `docker stop` sends
    expect(await once(child, 'exit'), output()).toEqual([0, null])
  }
}, 120_000)

type Container = { child: ChildProcess; output: () => string }

function start({ folder, workdir, env, cmd }: Image, settings: Record<string, string>): Container {
  const [command, ...args] = cmd
  const child = spawn(command!, args, {
    cwd: path.join(folder, workdir),
    env: { PATH: process.env.PATH, ...env, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    output += chunk
  })
  return { child, output: () => output }
}

/** Asks as Docker would: by the image's own health check. */
async function healthy(
  image: Image,
  settings: Record<string, string>,
  { child, output }: Container,
): Promise<void> {
  const [command, ...args] = image.healthcheck
  const check = () =>
    promisify(execFile)(command!, args, { env: { PATH: process.env.PATH, ...image.env, ...settings } }).then(
      () => true,
      () => false,
    )
  const deadline = Date.now() + 30_000
  while (!(await check())) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`Not healthy:\n${output()}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
