// Which migrations are pending, in which order they apply, and when a database and a version do not go together.
import path from 'node:path'
import { expect, test } from 'vitest'
import {
  checksumOf,
  compareNames,
  type Migration,
  pendingMigrations,
  type RecordedMigration,
  readMigrations,
} from './migration-history.ts'

const committed = readMigrations(path.resolve(import.meta.dirname, '../../../../prisma/migrations'))

const migrations: Migration[] = ['1_a', '2_b', '10_c'].map((name) => ({ name, sql: `-- ${name}\n` }))
const [first, second, third] = migrations as [Migration, Migration, Migration]

const record = ({ name, sql }: Migration, changed: Partial<RecordedMigration> = {}): RecordedMigration => ({
  migration_name: name,
  checksum: checksumOf(sql),
  started_at: new Date('2026-01-02T03:04:05Z'),
  finished_at: new Date('2026-01-02T03:04:06Z'),
  rolled_back_at: null,
  logs: null,
  ...changed,
})

test('migrations apply by number, not alphabetically', () => {
  const names = ['10_c', '7001_e', '1_a', '2_b', '0011_d', 'x_without_number', '20260102030405_f']
  expect(names.sort(compareNames)).toEqual([
    '1_a',
    '2_b',
    '10_c',
    '0011_d',
    '7001_e',
    '20260102030405_f',
    'x_without_number',
  ])
})

test('Prisma without this repository’s engine sorts the committed migrations the same way', () => {
  const names = committed.map(({ name }) => name)
  expect(names.length).toBeGreaterThan(5)
  expect([...names].sort((a, b) => a.localeCompare(b))).toEqual(names)
})

test('migrations without a record are pending, in order', () => {
  expect(pendingMigrations(migrations, [])).toEqual(migrations)
  expect(pendingMigrations(migrations, [record(first)])).toEqual([second, third])
  expect(
    pendingMigrations(
      migrations,
      [third, first].map((one) => record(one)),
    ),
  ).toEqual([second])
  expect(
    pendingMigrations(
      migrations,
      migrations.map((one) => record(one)),
    ),
  ).toEqual([])
})

test('pending migrations are refused together if one controls transactions or builds an index concurrently', () => {
  const committing = { name: '11_d', sql: 'CREATE TABLE a (); COMMIT' }
  expect(() => pendingMigrations([...migrations, committing], [])).toThrow(/11_d contains COMMIT/)
  const concurrent = { name: '11_d', sql: 'CREATE INDEX CONCURRENTLY b ON a (c)' }
  expect(() => pendingMigrations([...migrations, concurrent], [])).toThrow(/11_d contains CONCURRENTLY/)
  expect(pendingMigrations([...migrations, committing], [record(committing)])).toEqual(migrations)
})

test('each committed migration can be one transaction', () => {
  expect(pendingMigrations(committed, [])).toEqual(committed)
})

test('a failed migration blocks until it is resolved', () => {
  const failed = record(second, { finished_at: null, logs: 'line 2: no such table (42P01)' })
  expect(() => pendingMigrations(migrations, [record(first), failed])).toThrow(
    /2_b failed on 2026-01-02T03:04:05.000Z.*prisma migrate resolve --rolled-back 2_b\n.*no such table/s,
  )
  const resolved = { ...failed, rolled_back_at: new Date() }
  expect(pendingMigrations(migrations, [record(first), resolved])).toEqual([second, third])
  expect(pendingMigrations(migrations, [record(first), resolved, record(second)])).toEqual([third])
})

test('a migration that this version does not know is refused', () => {
  const recorded = [...migrations, { name: '11_newer', sql: '' }].map((one) => record(one))
  expect(() => pendingMigrations(migrations, recorded)).toThrow(/has the migration 11_newer.*newer version/)
})

test('an edited migration is refused, and both checksums are named', () => {
  const edited = { ...second, sql: '-- edited' }
  expect(() => pendingMigrations([first, edited, third], [record(first), record(second)])).toThrow(
    new RegExp(`2_b differs.* is ${checksumOf('-- edited')}, expected ${checksumOf(second.sql)}`),
  )
})

test('a migration that rolled back may be edited', () => {
  const edited = { ...second, sql: '-- edited' }
  const recorded = [record(first), record(second, { finished_at: null, rolled_back_at: new Date() })]
  expect(pendingMigrations([first, edited, third], recorded)).toEqual([edited, third])
})

test('line endings do not make a migration another one', () => {
  const windows = { ...first, sql: first.sql.replace('\n', '\r\n') }
  expect(pendingMigrations([windows], [record(first)])).toEqual([])
  expect(pendingMigrations([first], [record(windows)])).toEqual([])
})
