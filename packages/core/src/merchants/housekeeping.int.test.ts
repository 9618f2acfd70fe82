// Housekeeping of what merchants leave behind: expired sessions and idempotency keys, in bounded batches.
import { createDatabase, type TestDatabase } from '@sluice/testing'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { type Database, openDatabase } from '../platform/database.ts'
import { runChores, standardChores } from '../platform/housekeeping.ts'

const log = pino({ level: 'silent' })
let database: TestDatabase
let db: Database
beforeEach(async () => {
  database = await createDatabase(inject('postgresUrl'))
  db = openDatabase({ url: database.url, applicationName: 'test', log, statementTimeoutMs: 5000 })
})
afterEach(async () => {
  await db.close()
  await database.drop()
})

const kinds = [
  {
    name: 'expired sessions',
    key: 'token_hash',
    table: 'sessions',
    add: (key: string, expiresIn: string) =>
      database.query(
        `INSERT INTO sessions (token_hash, merchant_id, created_at, expires_at)
         SELECT $1, id, now() - interval '1 day', now() + $2::interval FROM merchants`,
        [key, expiresIn],
      ),
  },
  {
    name: 'expired idempotency keys',
    key: 'key',
    table: 'idempotency_keys',
    add: (key: string, expiresIn: string) =>
      database.query(
        `INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, status, response, expires_at)
         SELECT id, 'order_x', $1, 'f', 201, '{}', now() + $2::interval FROM merchants`,
        [key, expiresIn],
      ),
  },
]

test.each(kinds)('$name are removed, those in use are not', async ({ add, key, table }) => {
  for (let n = 0; n < 3; n++) await add(`old${n}`, '-1 millisecond')
  await add('new', '1 minute')
  await runChores({ db, log }, standardChores(undefined))
  expect(await database.query(`SELECT ${key} AS key FROM ${table}`)).toEqual([{ key: 'new' }])
})

test.each(kinds)('$name go in batches and past what is locked', async ({ name, add, key, table }) => {
  for (let n = 0; n < 6; n++) await add(`old${n}`, '-1 minute')
  const chore = standardChores(undefined).find((candidate) => candidate.name === name)
  const holder = await database.session()
  try {
    await holder.query('BEGIN')
    await holder.query(`SELECT 1 FROM ${table} WHERE ${key} = 'old3' FOR UPDATE`)
    expect(await chore?.run(db, 2)).toBe(2)
    expect(await chore?.run(db, 2)).toBe(2)
    expect(await chore?.run(db, 2)).toBe(1)
    expect(await chore?.run(db, 2)).toBe(0)
  } finally {
    await holder.end()
  }
  expect(await database.query(`SELECT ${key} AS key FROM ${table}`)).toEqual([{ key: 'old3' }])
})
