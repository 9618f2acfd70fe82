// Real PostgreSQL for tests: a database of its own on the run's server, or a server of its own.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { startEmbeddedPostgres } from '@sluice/embedded-postgres'
import pg from 'pg'

/** A folder that the server's user can also enter when the tests run as root. */
export function makeTemporaryFolder(purpose: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), `sluice-${purpose}-`))
  chmodSync(folder, 0o711)
  return folder
}

export interface TestServer extends TestDatabase {
  /** Stops every process of the server with SIGSTOP: requests are neither served nor refused. */
  freeze: () => Promise<void>
  thaw: () => Promise<void>
  /** Ends the server with SIGKILL, as a power cut would. */
  kill: () => Promise<void>
  /** A fast shutdown: sessions are ended. */
  stop: () => Promise<void>
  /** Starts it again on the same port and data, after `kill` or `stop`. */
  startAgain: () => Promise<void>
}

/** A server of its own, durable as in production, with a migrated database. */
export async function startPostgres(): Promise<TestServer> {
  const folder = makeTemporaryFolder('pg')
  const dataDir = path.join(folder, 'data')
  let server = await startEmbeddedPostgres({ dataDir, database: 'sluice' })
  await prepareDatabase(server.url)
  const signalAll = async (signal: NodeJS.Signals) => {
    for (const pid of await withChildren(server.pid)) process.kill(pid, signal)
  }
  return {
    url: server.url,
    query: queryOn(server.url),
    session: () => openSession(server.url),
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
    async kill() {
      process.kill(server.pid, 'SIGKILL')
      await server.exited
    },
    stop: () => server.stop(),
    async startAgain() {
      await server.stop()
      server = await startEmbeddedPostgres({ dataDir, database: 'sluice', port: server.port })
    },
    async drop() {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The postmaster and its sessions; each session is a process group of its own. */
async function withChildren(pid: number): Promise<number[]> {
  const parents = process.platform === 'linux' ? await parentsFromProc() : await parentsFromPs()
  return [pid, ...parents.filter(([, parent]) => parent === pid).map(([child]) => child)]
}

type ProcessAndParent = [pid: number, parent: number]

/** Slim images have no `ps`. The name in a stat line is in brackets and may contain any character. */
async function parentsFromProc(): Promise<ProcessAndParent[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  return Promise.all(
    pids.map(async (pid): Promise<ProcessAndParent> => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '') // the process may have ended meanwhile
      return [Number(pid), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])]
    }),
  )
}

async function parentsFromPs(): Promise<ProcessAndParent[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid='])
  return stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number) as ProcessAndParent)
}

/** Migrates as `npm run db:migrate` does, in a process of its own. */
async function prepareDatabase(url: string): Promise<void> {
  const script = path.resolve(import.meta.dirname, '../../core/dist/migrate.js')
  await promisify(execFile)(process.execPath, [script], {
    env: { PATH: process.env.PATH, DATABASE_URL: url },
  })
}

const TEMPLATE = 'sluice_template'

/** Creates the migrated database that `createDatabase` copies; for the run's global set-up. */
export async function prepareTemplate(serverUrl: string): Promise<void> {
  await withAdmin(serverUrl, (admin) => admin.query(`CREATE DATABASE ${TEMPLATE}`))
  await prepareDatabase(named(serverUrl, TEMPLATE))
}

export interface TestDatabase {
  url: string
  query: <Row extends pg.QueryResultRow>(text: string, values?: unknown[]) => Promise<Row[]>
  /** A session that stays open and can hold locks; the caller ends it. */
  session: () => Promise<pg.Client>
  drop: () => Promise<void>
}

/** A fresh, migrated database of its own on the run's server. */
export async function createDatabase(serverUrl: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  await withAdmin(serverUrl, async (admin) => {
    // PostgreSQL refuses two copies of one template at once, so copies take turns.
    await admin.query('SELECT pg_advisory_lock(1)')
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`)
  })
  const url = named(serverUrl, name)
  const query = queryOn(url)
  return {
    url,
    query,
    session: () => openSession(url),
    drop: () =>
      withAdmin(serverUrl, (admin) => admin.query(`DROP DATABASE ${name} WITH (FORCE)`)).then(() => {}),
  }
}

/** A function that runs each statement on a connection of its own and closes it. */
export function queryOn(url: string) {
  return async function query<Row extends pg.QueryResultRow>(
    text: string,
    values: unknown[] = [],
  ): Promise<Row[]> {
    const client = await openSession(url)
    try {
      return (await client.query<Row>(text, values)).rows
    } finally {
      await client.end()
    }
  }
}

async function openSession(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => {})
  await client.connect()
  return client
}

const named = (serverUrl: string, database: string) =>
  Object.assign(new URL(serverUrl), { pathname: `/${database}` }).href

async function withAdmin<T>(serverUrl: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: named(serverUrl, 'postgres') })
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}
