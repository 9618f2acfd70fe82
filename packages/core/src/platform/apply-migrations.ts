// Applies prisma/migrations over node-postgres, and records them as Prisma does, so that `prisma migrate deploy` agrees.
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import {
  checksumOf,
  type Migration,
  MigrationError,
  pendingMigrations,
  type RecordedMigration,
  readMigrations,
} from './migration-history.ts'

/** The key of Prisma's schema engine: while a session holds it, neither Prisma nor another start applies migrations. */
const MIGRATION_LOCK = 72_707_369

const TABLE_EXISTS = `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS exists`

const TABLES = `
  SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename LIMIT 3`

/** Word for word as Prisma's schema engine creates it. */
const CREATE_TABLE = `
CREATE TABLE _prisma_migrations (
    id                      VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum                VARCHAR(64) NOT NULL,
    finished_at             TIMESTAMPTZ,
    migration_name          VARCHAR(255) NOT NULL,
    logs                    TEXT,
    rolled_back_at          TIMESTAMPTZ,
    started_at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count     INTEGER NOT NULL DEFAULT 0
)`

const RECORDED = `
  SELECT migration_name, checksum, started_at, finished_at, rolled_back_at, logs
  FROM _prisma_migrations ORDER BY started_at`

const RECORD_FAILURE = `
  INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, logs) VALUES ($1, $2, $3, $4, $5)`

/** SQLSTATEs that a retry may not meet: connections, conflicts, resources, an operator or the system, a lock's timeout. */
const RETRYABLE = /^(08|40|53|57|58|55P03)/

const LONG_WAIT_MS = 5000

/**
 * Waits for its turn: of several starts, one migrates and the others then find nothing to do. The session's end releases
 * the lock. A wait of more than `afterMs` calls `onLongWait` once.
 */
export async function lockMigrations(
  client: pg.ClientBase,
  onLongWait: () => void = () => {},
  afterMs = LONG_WAIT_MS,
): Promise<void> {
  const timer = setTimeout(onLongWait, afterMs)
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Applies the pending migrations of `directory` on a session that holds the lock. Returns their names.
 * @throws MigrationError if the database and the migrations do not go together, or a migration fails
 */
export async function applyMigrations(client: pg.ClientBase, directory: string): Promise<string[]> {
  await ensureTable(client)
  const { rows } = await client.query<RecordedMigration>(RECORDED)
  const pending = pendingMigrations(readMigrations(directory), rows)
  for (const migration of pending) await apply(client, migration)
  return pending.map(({ name }) => name)
}

async function ensureTable(client: pg.ClientBase): Promise<void> {
  const existing = await client.query<{ exists: boolean }>(TABLE_EXISTS)
  if (existing.rows[0]?.exists) return
  const { rows } = await client.query<{ tablename: string }>(TABLES)
  if (rows.length > 0) {
    throw new MigrationError(
      `The database has tables (${rows.map(({ tablename }) => tablename).join(', ')}) but no record of migrations. ` +
        'Give Sluice an empty database of its own.',
    )
  }
  await client.query(CREATE_TABLE)
}

/**
 * The script and its record are one simple query, which PostgreSQL runs as one transaction: both stay, or neither. A
 * process that ends halfway leaves no trace, and the next start applies the migration. RESET ALL: a script's SET must not
 * reach the record, later scripts or the seed.
 */
async function apply(client: pg.ClientBase, migration: Migration): Promise<void> {
  const startedAt = new Date()
  try {
    await client.query(`${migration.sql}\n;\nRESET ALL;\n${recordOf(migration)}`)
  } catch (error) {
    const reason = reasonOf(error, migration)
    const failure = `The migration ${migration.name} failed, and none of it stays: ${reason}`
    if (isRetryable(error)) throw new MigrationError(`${failure}. The next start retries it.`)
    // A server that refused the script still takes the record; a lost connection doesn't, and needs none.
    await client
      .query(RECORD_FAILURE, [randomUUID(), checksumOf(migration.sql), migration.name, startedAt, reason])
      .catch(() => {})
    throw new MigrationError(failure)
  }
}

/** The cause is outside the script, so no record blocks the next start. */
function isRetryable(error: unknown): boolean {
  const { code } = error as Partial<pg.DatabaseError>
  return code !== undefined && RETRYABLE.test(code)
}

/** A literal statement, since a simple query takes no parameters. */
function recordOf({ name, sql }: Migration): string {
  const values = [randomUUID(), checksumOf(sql), name].map((value) => pg.escapeLiteral(value))
  return `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
    VALUES (${values.join(', ')}, now(), clock_timestamp(), 1)`
}

function reasonOf(error: unknown, { sql }: Migration): string {
  const { message, code, position } = error as Partial<pg.DatabaseError>
  const line = position && `line ${sql.slice(0, Number(position)).split('\n').length}: `
  return `${line ?? ''}${message || code || String(error)}${message && code ? ` (${code})` : ''}`
}
