// Compares the migrations of this version with those that a database records, and decides which ones are pending.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { outsideTransaction } from './migration-script.ts'

export interface Migration {
  /** The folder's name, which Prisma records: `7001_refund_reasons`. */
  name: string
  sql: string
}

/** The columns of `_prisma_migrations` that decide. */
export interface RecordedMigration {
  migration_name: string
  checksum: string
  started_at: Date
  finished_at: Date | null
  rolled_back_at: Date | null
  logs: string | null
}

/** The database and this version's migrations do not go together; the message names the repair. */
export class MigrationError extends Error {}

/** Reads each `<folder>/migration.sql`, in the order in which they apply. */
export function readMigrations(directory: string): Migration[] {
  const scriptOf = (name: string) => path.join(directory, name, 'migration.sql')
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(scriptOf(entry.name)))
    .map(({ name }) => ({ name, sql: readFileSync(scriptOf(name), 'utf8') }))
    .sort((a, b) => compareNames(a.name, b.name))
}

/** By leading number, so that `10_x` follows `9_x`; names without a number come last, in alphabetical order. */
export function compareNames(a: string, b: string): number {
  const [numberA, numberB] = [a, b].map((name) => Number(/^\d+/.exec(name)?.[0] ?? Number.MAX_VALUE)) as [
    number,
    number,
  ]
  return numberA - numberB || (a < b ? -1 : Number(a > b))
}

/** Prisma's checksum: SHA-256 of the script in hexadecimal digits. */
export const checksumOf = (sql: string): string => createHash('sha256').update(sql).digest('hex')

/**
 * Returns the migrations that the database lacks, in the order in which they apply.
 * @throws MigrationError if one failed before, is unknown to this version, differs from the one that was applied, or
 * cannot be one transaction
 */
export function pendingMigrations(migrations: Migration[], recorded: RecordedMigration[]): Migration[] {
  const current = recorded.filter(({ rolled_back_at }) => rolled_back_at === null)
  const failed = current.find(({ finished_at }) => finished_at === null)
  if (failed) throw failedBefore(failed)
  const known = new Map(migrations.map((migration) => [migration.name, migration]))
  for (const { migration_name: name, checksum } of current) {
    const migration = known.get(name)
    if (migration === undefined) throw unknownHere(name)
    if (!checksumsOf(migration).includes(checksum)) throw changedSince(migration, checksum)
  }
  const applied = new Set(current.map(({ migration_name }) => migration_name))
  const pending = migrations.filter(({ name }) => !applied.has(name))
  for (const { name, sql } of pending) {
    const words = outsideTransaction(sql)
    if (words !== undefined) throw notOneTransaction(name, words)
  }
  return pending
}

/** Like Prisma, both kinds of line endings count as the same script: Git may convert them on checkout. */
function checksumsOf({ sql }: Migration): string[] {
  const unix = sql.replaceAll('\r\n', '\n')
  return [sql, unix, unix.replaceAll('\n', '\r\n')].map(checksumOf)
}

const failedBefore = ({ migration_name, started_at, logs }: RecordedMigration) =>
  new MigrationError(
    `The migration ${migration_name} failed on ${started_at.toISOString()}, and no other one is applied until it is resolved. ` +
      'Remove the cause, then follow docs/operations.md ("Repair a failed migration"), or ' +
      `run: npx prisma migrate resolve --rolled-back ${migration_name}` +
      (logs ? `\nThe database recorded this error: ${logs}` : ''),
  )

const unknownHere = (name: string) =>
  new MigrationError(
    `The database has the migration ${name}, which this version does not know. ` +
      'A newer version of Sluice migrated this database: start that version, or a later one.',
  )

const changedSince = ({ name, sql }: Migration, checksum: string) =>
  new MigrationError(
    `The migration ${name} differs from the one that the database has: its SHA-256 is ${checksumOf(sql)}, expected ${checksum}. ` +
      `Restore prisma/migrations/${name}/migration.sql: an applied migration is never edited.`,
  )

const notOneTransaction = (name: string, words: string) =>
  new MigrationError(
    `The migration ${name} contains ${words}, which cannot be part of one transaction with its record. ` +
      `Expected: a script without transaction control and without CONCURRENTLY. No pending migration is applied.`,
  )
