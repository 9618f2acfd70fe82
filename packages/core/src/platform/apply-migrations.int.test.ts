// Migrations on a real server: applied once and whole, recorded so that Prisma's own engine agrees, refused with a reason.
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { createDatabase, type TestDatabase } from '@sluice/testing'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { applyMigrations, lockMigrations } from './apply-migrations.ts'

const repository = path.resolve(import.meta.dirname, '../../../..')
const committed = path.join(repository, 'prisma/migrations')

let database: TestDatabase
let folder: string
let migrations: string
beforeEach(async () => {
  database = await emptyDatabase()
  folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-migrations-'))
  migrations = path.join(folder, 'migrations')
  mkdirSync(migrations)
  cpSync(path.join(committed, 'migration_lock.toml'), path.join(migrations, 'migration_lock.toml'))
  writeFileSync(path.join(folder, 'schema.prisma'), 'datasource db {\n  provider = "postgresql"\n}\n')
})
afterEach(async () => {
  await database.drop()
  rmSync(folder, { recursive: true, force: true })
})

async function emptyDatabase(): Promise<TestDatabase> {
  const empty = await createDatabase(inject('postgresUrl'))
  await empty.query('DROP SCHEMA public CASCADE')
  await empty.query('CREATE SCHEMA public')
  return empty
}

function write(name: string, sql: string): void {
  mkdirSync(path.join(migrations, name), { recursive: true })
  writeFileSync(path.join(migrations, name, 'migration.sql'), sql)
}

async function apply(directory = migrations): Promise<string[]> {
  const session = await database.session()
  try {
    await lockMigrations(session)
    return await applyMigrations(session, directory)
  } finally {
    await session.end()
  }
}

/** Prisma's CLI with its own engine (WebAssembly), on the migrations in `directory`; returns all that it prints. */
async function prisma(directory: string, ...args: string[]): Promise<string> {
  const config = path.join(folder, 'prisma.config.ts')
  const settings = {
    schema: path.join(folder, 'schema.prisma'),
    migrations: { path: directory },
    datasource: { url: database.url },
  }
  writeFileSync(config, `export default ${JSON.stringify(settings)}`)
  const run = promisify(execFile)('node_modules/.bin/prisma', ['migrate', ...args, '--config', config], {
    cwd: repository,
    env: {
      PATH: process.env.PATH,
      CHECKPOINT_DISABLE: '1',
      PRISMA_SCHEMA_ENGINE_BINARY: path.join(repository, 'tools/prisma-engine/cli.mjs'),
    },
  })
  const { stdout, stderr } = await run.catch((error) => error)
  return stdout + stderr
}

const recorded = () =>
  database.query('SELECT * FROM _prisma_migrations ORDER BY started_at, migration_name').catch(() => [])
const tables = async () =>
  (
    await database.query<{ name: string }>(`
    SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations' ORDER BY 1`)
  ).map(({ name }) => name)

const columns = () =>
  database.query(`
    SELECT column_name, data_type, character_maximum_length, is_nullable, column_default
    FROM information_schema.columns WHERE table_name = '_prisma_migrations' ORDER BY ordinal_position`)

/** 2 needs 1, and 10 needs 2; a $$ body holds a semicolon, and a comment without a line end is last. */
function writeThree(): void {
  write('1_a', 'CREATE TABLE a (id int);\nINSERT INTO a VALUES (1); SELECT * FROM a')
  write(
    '2_b',
    `ALTER TABLE a RENAME TO b;\nDO $$ BEGIN PERFORM 1; EXECUTE 'CREATE TABLE b2 ()'; END $$;\n-- end`,
  )
  write('10_c', 'ALTER TABLE b RENAME TO c')
}

test('Prisma finds nothing pending in a database that the applier migrated', async () => {
  expect(await apply(committed)).toHaveLength(6)
  expect(await prisma(committed, 'deploy')).toContain('No pending migrations to apply.')
  expect(await apply(committed)).toEqual([])
})

test('Prisma migrates like the applier, in the order of the numbers, and leaves it nothing pending', async () => {
  writeThree()
  expect(await apply()).toEqual(['1_a', '2_b', '10_c'])
  const ours = { columns: await columns(), recorded: await recorded(), tables: await tables() }
  await database.drop()
  database = await emptyDatabase()
  expect(await prisma(migrations, 'deploy')).toContain('All migrations have been successfully applied.')
  const times = { started_at: expect.any(Date), finished_at: expect.any(Date) }
  expect(ours).toEqual({
    columns: await columns(),
    recorded: (await recorded()).map((row) => ({ ...row, id: expect.any(String), ...times })),
    tables: ['b2', 'c'],
  })
  expect(await tables()).toEqual(ours.tables)
  expect(await apply()).toEqual([])
})

test('of several appliers at once, one migrates and the others find nothing to do', async () => {
  writeThree()
  const applied = await Promise.all([apply(), apply(), apply()])
  expect(applied.map(({ length }) => length).sort()).toEqual([0, 0, 3])
  expect(await recorded()).toHaveLength(3)
})

test('a failed migration leaves only its record, and blocks the applier and Prisma until it is resolved', async () => {
  write('1_a', 'CREATE TABLE a (id int)')
  write('2_b', 'CREATE TABLE b (id int);\nINSERT INTO absent VALUES (1);\n')
  const reason = 'line 2: relation "absent" does not exist (42P01)'
  await expect(apply()).rejects.toThrow(`The migration 2_b failed, and none of it stays: ${reason}`)
  expect(await tables()).toEqual(['a'])
  expect(await recorded()).toMatchObject([
    { migration_name: '1_a', applied_steps_count: 1, logs: null },
    { migration_name: '2_b', applied_steps_count: 0, logs: reason, finished_at: null, rolled_back_at: null },
  ])
  write('2_b', 'CREATE TABLE b (id int)')
  await expect(apply()).rejects.toThrow(/2_b failed on .* --rolled-back 2_b\n.*"absent" does not exist/s)
  expect(await prisma(migrations, 'deploy')).toMatch(/P3009.*`2_b` migration started at .* failed/s)
  expect(await tables()).toEqual(['a'])

  expect(await prisma(migrations, 'resolve', '--rolled-back', '2_b')).toContain('marked as rolled back')
  expect(await apply()).toEqual(['2_b'])
  expect(await tables()).toEqual(['a', 'b'])
})

test('plain SQL marks a failed migration as rolled back, for the applier and Prisma', async () => {
  write('1_a', 'INSERT INTO absent VALUES (1)')
  await expect(apply()).rejects.toThrow(/1_a failed/)
  write('1_a', 'CREATE TABLE a (id int)')
  await database.query(`
    UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = '1_a' AND finished_at IS NULL`)
  expect(await apply()).toEqual(['1_a'])
  expect(await prisma(migrations, 'deploy')).toContain('No pending migrations to apply.')
})

test('an error that a retry may not meet leaves no record, and the next applier retries', async () => {
  await database.query('CREATE SCHEMA other CREATE TABLE busy (id int)')
  write('1_a', "SET lock_timeout = '10ms';\nALTER TABLE other.busy RENAME TO free")
  const holder = await database.session()
  await holder.query('BEGIN; LOCK TABLE other.busy')
  await expect(apply()).rejects.toThrow(
    /1_a failed, and none of it stays: .*55P03.*The next start retries it/,
  )
  expect(await recorded()).toEqual([])
  await holder.end()
  expect(await apply()).toEqual(['1_a'])
})

test('a setting of a script reaches neither the record, nor later scripts, nor the session', async () => {
  write('1_a', 'CREATE SCHEMA other; SET search_path = other; CREATE TABLE a ()')
  write('2_b', 'CREATE TABLE b ()')
  const session = await database.session()
  const setting = async () => (await session.query('SHOW search_path')).rows
  const before = await setting()
  expect(await applyMigrations(session, migrations)).toEqual(['1_a', '2_b'])
  expect(await setting()).toEqual(before)
  await session.end()
  expect(await tables()).toEqual(['b'])
  expect(await recorded()).toHaveLength(2)
})

test('a script that commits is refused before any other one applies', async () => {
  write('1_a', 'CREATE TABLE a ()')
  write('2_b', 'CREATE TABLE b (); COMMIT; CREATE TABLE c ()')
  await expect(apply()).rejects.toThrow('The migration 2_b contains COMMIT')
  expect([await tables(), await recorded()]).toEqual([[], []])
})

test('a long wait for the lock is reported once', async () => {
  const [holder, waiting] = [await database.session(), await database.session()]
  await lockMigrations(holder)
  let reports = 0
  const locked = lockMigrations(waiting, () => reports++, 10)
  await expect.poll(() => reports).toBe(1)
  await holder.end()
  await locked
  expect(reports).toBe(1)
  await waiting.end()
})

test('a migration that Prisma failed to apply blocks the applier, too', async () => {
  write('1_a', 'CREATE TABLE a (id int); INSERT INTO absent VALUES (1)')
  expect(await prisma(migrations, 'deploy')).toContain('No such table: absent')
  await expect(apply()).rejects.toThrow(/1_a failed on .* --rolled-back 1_a\n.*No such table: absent/s)
})

test('an applier that ends in the middle of a migration leaves no trace, and the next one applies it', async () => {
  write('1_a', 'CREATE TABLE a (id int); SELECT pg_advisory_xact_lock(1)')
  const holder = await database.session()
  await holder.query('SELECT pg_advisory_lock(1)')
  const interrupted = apply().catch((error) => error)
  const end = () =>
    database.query(`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event = 'advisory' AND query LIKE 'CREATE TABLE a%'`)
  await expect.poll(end).toHaveLength(1)
  expect((await interrupted).message).toMatch(/1_a failed, and none of it stays/)
  await holder.end()
  expect([await tables(), await recorded()]).toEqual([[], []])
  expect(await apply()).toEqual(['1_a'])
  expect(await tables()).toEqual(['a'])
})

test('an edited migration and an unknown one are refused, and nothing changes', async () => {
  writeThree()
  await apply()
  const before = await recorded()
  write('11_d', 'CREATE TABLE d (id int)')
  write('2_b', '-- edited')
  await expect(apply()).rejects.toThrow('The migration 2_b differs from the one that the database has')
  rmSync(path.join(migrations, '2_b'), { recursive: true })
  await expect(apply()).rejects.toThrow('has the migration 2_b, which this version does not know')
  expect(await recorded()).toEqual(before)
  expect(await tables()).toEqual(['b2', 'c'])
})

test('a database with foreign tables is refused, and nothing changes', async () => {
  writeThree()
  await database.query('CREATE TABLE theirs (id int)')
  await expect(apply()).rejects.toThrow('The database has tables (theirs) but no record of migrations.')
  expect([await tables(), await recorded()]).toEqual([['theirs'], []])
})
