// Authentication by key and the merchant's profile, on a real database.
import { createDatabase, type TestDatabase } from '@sluice/testing'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { type Database, openDatabase, type Statement } from '../platform/database.ts'
import { authenticateByKey, findMerchantByEmail, findMerchantProfile } from './authenticate.ts'
import { createMerchant } from './manage.ts'
import { SEEDED_MERCHANT_ID } from './seed.ts'

/** Limits for a busy machine. */
const patient = { statementTimeoutMs: 5000, connectTimeoutMs: 5000 }
let database: TestDatabase
let db: Database
/** The statements that `db.query` sent to the database. */
let statements: Statement[]
beforeEach(async () => {
  database = await createDatabase(inject('postgresUrl'))
  const log = pino({ level: 'silent' })
  const real = openDatabase({ url: database.url, applicationName: 'test', log, ...patient })
  statements = []
  db = {
    ...real,
    query(statement) {
      statements.push(statement)
      return real.query(statement)
    },
  }
})
afterEach(async () => {
  await db.close()
  await database.drop()
})

const seeded = { id: SEEDED_MERCHANT_ID, name: 'Test Merchant', email: 'test@example.com' }
const key = 'key_test_abc123'
const secret = 'secret_test_xyz789'

test('only the key and secret of one merchant authenticate it', async () => {
  const acme = await createMerchant(db, { name: 'Acme', email: 'ops@acme.example', accounts: [] })
  expect(await authenticateByKey(db, key, secret)).toEqual(seeded)
  expect(await authenticateByKey(db, acme.apiKey, acme.apiSecret)).toEqual({
    id: acme.id,
    name: 'Acme',
    email: 'ops@acme.example',
  })
  for (const [wrongKey, wrongSecret] of [
    [key, acme.apiSecret],
    [acme.apiKey, secret],
    [key, `${secret}x`],
    [key, secret.slice(0, -1)],
    [key, secret.toUpperCase()],
    [key.toUpperCase(), secret],
    ['key_unknown', secret],
    [key, ''],
    ['', secret],
    ['', ''],
    [secret, key],
  ] as const) {
    expect(await authenticateByKey(db, wrongKey, wrongSecret)).toBeUndefined()
  }
})

test('no secret authenticates a merchant without a secret', async () => {
  await database.query(`UPDATE merchants SET api_secret = ''`)
  expect(await authenticateByKey(db, key, '')).toBeUndefined()
  expect(await authenticateByKey(db, key, secret)).toBeUndefined()
})

test('authentication is one prepared statement, and a malformed key causes none', async () => {
  const longest = '🔑'.repeat(64)
  await database.query('UPDATE merchants SET api_key = $1, api_secret = $1', [longest])
  expect(await authenticateByKey(db, longest, longest)).toEqual(seeded)
  expect(statements).toHaveLength(1)
  expect(statements[0]?.name).toBeTypeOf('string')
  for (const wrong of [`${longest}x`, 'x'.repeat(100_000), 'key\0', '']) {
    expect(await authenticateByKey(db, wrong, longest)).toBeUndefined()
    expect(await authenticateByKey(db, longest, wrong)).toBeUndefined()
  }
  expect(statements).toHaveLength(1)
})

test('a change by SQL takes effect with the next request', async () => {
  expect(await authenticateByKey(db, key, secret)).toEqual(seeded)
  await database.query('UPDATE merchants SET is_active = false')
  expect(await authenticateByKey(db, key, secret)).toBeUndefined()
  await database.query(`UPDATE merchants SET is_active = true, api_secret = 'rotated', name = 'Renamed'`)
  expect(await authenticateByKey(db, key, secret)).toBeUndefined()
  expect(await authenticateByKey(db, key, 'rotated')).toEqual({ ...seeded, name: 'Renamed' })
})

test('an e-mail finds its merchant in any case, active or not', async () => {
  expect(await findMerchantByEmail(db, 'Test@EXAMPLE.com')).toEqual(seeded)
  await database.query('UPDATE merchants SET is_active = false')
  expect(await findMerchantByEmail(db, 'test@example.com')).toEqual(seeded)
  expect(await findMerchantByEmail(db, 'unknown@example.com')).toBeUndefined()
  expect(statements).toHaveLength(3)
  for (const wrong of ['', 'test@example.com\0', `${'x'.repeat(255)}@example.com`]) {
    expect(await findMerchantByEmail(db, wrong)).toBeUndefined()
  }
  expect(statements).toHaveLength(3)
})

test('a profile has all public fields of the merchant, without the password', async () => {
  await database.query(
    `UPDATE merchants SET password_hash = 'x', webhook_url = 'https://acme.example/hook', created_at = '2026-01-02 03:04:05.678Z'`,
  )
  expect(await findMerchantProfile(db, SEEDED_MERCHANT_ID)).toEqual({
    ...seeded,
    api_key: key,
    api_secret: secret,
    webhook_url: 'https://acme.example/hook',
    webhook_secret: 'whsec_test_abc123',
    is_active: true,
    created_at: '2026-01-02T03:04:05.678Z',
  })
  await database.query('UPDATE merchants SET webhook_url = NULL, is_active = false')
  expect(await findMerchantProfile(db, SEEDED_MERCHANT_ID)).toMatchObject({
    webhook_url: null,
    is_active: false,
  })
  expect(await findMerchantProfile(db, '550e8400-e29b-41d4-a716-000000000000')).toBeUndefined()
})
