// Starts a PostgreSQL server with durable settings for the benchmark, with a fresh database for each run.
import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '@sluice/embedded-postgres'
import pg from 'pg'
import { runNode } from './child.ts'
import type { Janitor } from './janitor.ts'

// An acknowledgement is durable only with these three.
const DURABILITY = ['fsync', 'full_page_writes', 'synchronous_commit'] as const
const TMPFS_MAGIC = 0x01021994
const TEMPLATE = 'bench_template'

type Row = Record<string, unknown>
export type Sql = (text: string) => Promise<Row[]>
export type BenchDatabase = { url: string; sql: Sql; drop(): Promise<void> }
export type DatabaseServer = {
  pid: number
  settings: Record<string, string>
  /** A migrated, empty database. */
  createDatabase(): Promise<BenchDatabase>
}

export async function startDatabaseServer(janitor: Janitor, folder: string): Promise<DatabaseServer> {
  const dataDir = join(folder, 'postgres')
  const starting = startEmbeddedPostgres({ dataDir, database: TEMPLATE })
  janitor.defer(async () => (await starting.catch(() => undefined))?.stop())
  const { url: templateUrl, pid } = await starting
  await runNode(janitor, 'packages/core/dist/migrate.js', { DATABASE_URL: templateUrl })

  const admin = openPool(janitor, databaseUrl(templateUrl, 'postgres'))
  const names = [...DURABILITY, 'server_version', 'shared_buffers', 'max_wal_size', 'max_connections']
  const settings: Record<string, string> = {}
  for (const name of names) settings[name] = String((await admin.sql(`SHOW ${name}`))[0]?.[name])
  // On a file system in memory, fsync costs nothing, and the numbers would be too good.
  settings.data_directory_on = statfsSync(folder).type === TMPFS_MAGIC ? 'tmpfs (NOT DURABLE)' : 'disk'

  let created = 0
  return {
    pid,
    settings,
    async createDatabase() {
      const name = `bench_${++created}`
      await admin.sql(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`)
      await admin.sql('CHECKPOINT') // each run starts with equally few pages to write back
      const url = databaseUrl(templateUrl, name)
      const pool = openPool(janitor, url)
      return {
        url,
        sql: pool.sql,
        async drop() {
          await pool.end()
          await admin.sql(`DROP DATABASE ${name} WITH (FORCE)`)
        },
      }
    },
  }
}

export const isDurable = (settings: Record<string, string>) =>
  DURABILITY.every((name) => settings[name] === 'on')

function openPool(janitor: Janitor, connectionString: string): { sql: Sql; end(): Promise<void> } {
  const pool = new pg.Pool({ connectionString, max: 2 })
  pool.on('error', () => {}) // when the server ends early, the next query fails
  const end = janitor.defer(() => pool.end())
  return { sql: async (text) => (await pool.query(text)).rows as Row[], end }
}

function databaseUrl(url: string, database: string): string {
  const other = new URL(url)
  other.pathname = `/${database}`
  return other.href
}
