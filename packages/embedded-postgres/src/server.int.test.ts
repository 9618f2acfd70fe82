// The embedded server: what it stores, which starts it refuses, and that it leaves no process behind.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isRoot } from './account.ts'
import {
  AlreadyRunningError,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
  urlOfRunningServer,
} from './index.ts'
import { commandLine, isAlive, waitUntil } from './processes.ts'

let parent: string
let dataDir: string
let servers: EmbeddedPostgres[]
let children: ChildProcess[]

beforeEach(() => {
  parent = mkdtempSync(path.join(os.tmpdir(), 'sluice-pg-'))
  chmodSync(parent, 0o755)
  dataDir = path.join(parent, 'data')
  servers = []
  children = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const server of servers) await server.stop()
  rmSync(parent, { recursive: true })
})

async function start(options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, ...options })
  servers.push(server)
  return server
}

async function query<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {}) // a killed server sends an error to its idle sessions
  await client.connect()
  try {
    return (await client.query<Row>(sql)).rows
  } finally {
    await client.end()
  }
}

/** Starts a server with another process as its owner, as `npm start` does. */
async function startElsewhere(): Promise<{
  owner: ChildProcess
  server: Pick<EmbeddedPostgres, 'pid' | 'url'>
}> {
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(path.resolve(import.meta.dirname, '../dist/index.js'))}
    const { pid, url } = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)} })
    console.log(JSON.stringify({ pid, url }))
    setInterval(() => {}, 1000)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(owner)
  const line = await new Promise<string>((resolve, reject) => {
    owner.stdout!.once('data', (chunk) => resolve(String(chunk)))
    owner.once('exit', (code) => reject(new Error(`The owner ended with ${code}.`)))
  })
  return { owner, server: JSON.parse(line) }
}

/** The guards of a server: shells with its pid on their command line. */
function guardsOf(serverPid: number): number[] {
  return allPids().filter((pid) => `${commandLine(pid)} `.includes(` sluice-postgres-guard ${serverPid} `))
}

function allPids(): number[] {
  const names =
    process.platform === 'linux'
      ? readdirSync('/proc')
      : spawnSync('ps', ['-A', '-o', 'pid='], { encoding: 'utf8' }).stdout.split('\n')
  return names.map(Number).filter((pid) => pid > 0)
}

test('committed data is there after a restart, in the given folder', async () => {
  const first = await start()
  await query(first.url, "CREATE TABLE kept AS SELECT 'kept' AS word")
  await first.stop()
  expect(existsSync(path.join(dataDir, 'postgres/PG_VERSION'))).toBe(true)
  const second = await start()
  expect(await query(second.url, 'SELECT word FROM kept')).toEqual([{ word: 'kept' }])
})

test('another process finds the database of a running server only', async () => {
  expect(urlOfRunningServer(dataDir)).toBeUndefined()
  const { owner, server } = await startElsewhere()
  const url = urlOfRunningServer(dataDir)
  expect(url).toBe(server.url)
  expect(await query(url!, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  owner.kill('SIGKILL')
  await waitUntil(() => !isAlive(server.pid), 20_000)
  expect(urlOfRunningServer(dataDir)).toBeUndefined()
})

test('a commit is on the disk before it is acknowledged', async () => {
  const { url } = await start()
  for (const setting of ['fsync', 'full_page_writes', 'synchronous_commit']) {
    expect(await query(url, `SHOW ${setting}`)).toEqual([{ [setting]: 'on' }])
  }
})

test('the server listens on loopback only, requires the password, and never runs as root', async () => {
  const { url } = await start()
  expect(await query(url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }])
  expect(await query(url, 'SHOW unix_socket_directories')).toEqual([{ unix_socket_directories: '' }])
  const wrong = new URL(url)
  wrong.password = 'wrong'
  await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/)
  // PostgreSQL runs only as the owner of its files.
  expect(statSync(path.join(dataDir, 'postgres')).uid).not.toBe(0)
})

test('after a stop no process is left, not even the guard', async () => {
  const server = await start()
  expect(await waitUntil(() => guardsOf(server.pid).length === 1, 15_000)).toBe(true)
  await server.stop()
  expect(isAlive(server.pid)).toBe(false)
  expect(await waitUntil(() => guardsOf(server.pid).length === 0, 15_000)).toBe(true)
  expect(readdirSync(dataDir).sort()).toEqual(['SLUICE.txt', 'postgres', 'postgres.log'])
})

test('a second owner is refused, and the first one keeps running', async () => {
  const { owner, server } = await startElsewhere()
  await expect(start()).rejects.toThrow(AlreadyRunningError)
  await expect(start()).rejects.toThrow(`process ${owner.pid}`)
  expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
})

test('the guard stops the server when its owner is killed', async () => {
  const { owner, server } = await startElsewhere()
  owner.kill('SIGKILL')
  expect(await waitUntil(() => !isAlive(server.pid), 20_000)).toBe(true)
  expect(await waitUntil(() => guardsOf(server.pid).length === 0, 15_000)).toBe(true)
  expect(readFileSync(path.join(dataDir, 'postgres.log'), 'utf8')).toContain(
    'received smart shutdown request',
  )
})

test('a server left behind without owner and guard is replaced, and its data is kept', async () => {
  const { owner, server } = await startElsewhere()
  await query(server.url, 'CREATE TABLE kept AS SELECT 1 AS one')
  expect(await waitUntil(() => guardsOf(server.pid).length === 1, 15_000)).toBe(true)
  for (const guard of guardsOf(server.pid)) process.kill(guard, 'SIGKILL')
  owner.kill('SIGKILL')
  await new Promise((resolve) => owner.once('exit', resolve))
  expect(isAlive(server.pid)).toBe(true)
  const logged: string[] = []
  const next = await start({ log: (line) => logged.push(line) })
  expect(logged.join()).toContain(`process ${server.pid}`)
  expect(isAlive(server.pid)).toBe(false)
  expect(await query(next.url, 'SELECT one FROM kept')).toEqual([{ one: 1 }])
})

test('after a crash the next server recovers, even while sessions of the crashed one are still ending', async () => {
  const logged: string[] = []
  const first = await start()
  await query(first.url, 'CREATE TABLE kept AS SELECT 1 AS one')
  const busy = query(first.url, 'SELECT count(*) FROM generate_series(1, 15000000)').catch(() => 'cut off')
  await expect
    .poll(
      () =>
        query(
          first.url,
          "SELECT FROM pg_stat_activity WHERE query ~ 'generate_series' AND pid <> pg_backend_pid()",
        ),
      { timeout: 15_000 },
    )
    .toHaveLength(1)
  process.kill(first.pid, 'SIGKILL')
  await first.exited
  await first.stop()
  const second = await start({ port: first.port, log: (line) => logged.push(line) })
  await busy
  expect(logged.join()).toContain('still busy with its last run')
  expect(second.url).toBe(first.url)
  expect(await query(second.url, 'SELECT one FROM kept')).toEqual([{ one: 1 }])
})

test("another process with the crashed server's pid doesn't prevent a start", async () => {
  const first = await start()
  process.kill(first.pid, 'SIGKILL')
  await first.exited
  await first.stop()
  const pidFile = path.join(dataDir, 'postgres/postmaster.pid')
  const [, ...rest] = readFileSync(pidFile, 'utf8').split('\n')
  writeFileSync(pidFile, [process.ppid, ...rest].join('\n'))
  const second = await start()
  expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
})

test("another major version's files are refused with both versions named", async () => {
  await (await start()).stop()
  writeFileSync(path.join(dataDir, 'postgres/PG_VERSION'), '15\n')
  await expect(start()).rejects.toThrow(/PostgreSQL 15 wrote the data .* has PostgreSQL 18/)
})

test('a killed initdb does not prevent the next start', async () => {
  mkdirSync(path.join(dataDir, 'initdb-0badf00d/base'), { recursive: true })
  writeFileSync(path.join(dataDir, 'SLUICE.txt'), '')
  await (await start()).stop()
  expect(readdirSync(dataDir).sort()).toEqual(['SLUICE.txt', 'postgres', 'postgres.log'])
})

test('an aborted start rejects as stopped and leaves no process', async () => {
  const controller = new AbortController()
  const starting = start({ signal: controller.signal })
  controller.abort()
  await expect(starting).rejects.toMatchObject({ code: 'stopped' })
  expect(readdirSync(dataDir)).toEqual(['SLUICE.txt'])
  await start()
})

test('foreign folders are refused with one line and not changed', async () => {
  mkdirSync(dataDir)
  writeFileSync(path.join(dataDir, 'thesis.txt'), 'my only copy')
  await expect(start()).rejects.toThrow(/holds other files \(thesis.txt, …\)/)
  expect(readdirSync(dataDir)).toEqual(['thesis.txt'])
  await expect(start({ dataDir: path.join(dataDir, 'thesis.txt') })).rejects.toThrow(/isn't a folder/)
  await expect(start({ dataDir: path.join(dataDir, 'thesis.txt/below') })).rejects.toThrow(/isn't a folder/)
  await expect(start({ dataDir: '/dev/null/below' })).rejects.toThrow(/isn't a folder/)
})

test('a folder behind a link or from mktemp (mode 0700) works', async () => {
  mkdirSync(path.join(parent, 'real'), { mode: 0o700 })
  symlinkSync(path.join(parent, 'real'), dataDir)
  const { url } = await start()
  expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  expect(statSync(path.join(dataDir, 'postgres')).mode & 0o777).toBe(0o700)
})

test('a folder that the server cannot enter or Sluice cannot write to is refused with the reason', async () => {
  const closed = path.join(parent, 'closed')
  mkdirSync(closed)
  chmodSync(closed, isRoot() ? 0o700 : 0o500)
  const obstacle = isRoot() ? new RegExp(`may not enter ${closed};`) : /may not write there/
  await expect(start({ dataDir: path.join(closed, 'data') })).rejects.toThrow(obstacle)
  chmodSync(closed, 0o700)
})
