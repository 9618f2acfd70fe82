// The seeded merchant: created once by concurrent starts, and never in place of another merchant.
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { createDatabase, type TestDatabase } from '@sluice/testing'
import pg from 'pg'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { SEEDED_MERCHANT_ID, seedMerchant } from './seed.ts'

const script = path.resolve(import.meta.dirname, '../../dist/migrate.js')
const sandbox = {
  sandbox: true,
  seededMerchant: {
    email: 'test@example.com',
    apiKey: 'key_test_abc123',
    apiSecret: 'secret_test_xyz789',
  },
}

let database: TestDatabase
beforeEach(async () => {
  database = await createDatabase(inject('postgresUrl'))
})
afterEach(() => database.drop())

const empty = () => database.query('DELETE FROM merchant_accounts; DELETE FROM merchants')
const migrate = (env: Record<string, string> = {}) =>
  promisify(execFile)(process.execPath, [script], {
    env: { PATH: process.env.PATH, DATABASE_URL: database.url, ...env },
  })
const merchants = () => database.query('SELECT * FROM merchants ORDER BY created_at')
const accounts = () => database.query('SELECT account, merchant_id FROM merchant_accounts')

async function seed(config: Parameters<typeof seedMerchant>[1]): Promise<boolean> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    return await seedMerchant(client, config)
  } finally {
    await client.end()
  }
}

const addMerchant = (fields: { id?: string; email?: string; key?: string }) =>
  database.query(
    `INSERT INTO merchants (id, name, email, api_key, api_secret) VALUES ($1, 'Acme', $2, $3, 's')`,
    [
      fields.id ?? '550e8400-e29b-41d4-a716-000000000000',
      fields.email ?? 'ops@acme.example',
      fields.key ?? 'key_acme',
    ],
  )

test('concurrent starts on an empty database create one merchant with its account, and print no secret', async () => {
  await database.query('DROP SCHEMA public CASCADE')
  await database.query('CREATE SCHEMA public')
  const outputs = await Promise.all([migrate(), migrate(), migrate()])
  expect(await merchants()).toEqual([
    {
      id: SEEDED_MERCHANT_ID,
      name: 'Test Merchant',
      email: 'test@example.com',
      api_key: 'key_test_abc123',
      api_secret: 'secret_test_xyz789',
      webhook_url: null,
      webhook_secret: 'whsec_test_abc123',
      password_hash: null,
      is_active: true,
      created_at: expect.any(Date),
      updated_at: expect.any(Date),
    },
  ])
  expect(await accounts()).toEqual([{ account: 'acc_merchant_456', merchant_id: SEEDED_MERCHANT_ID }])
  const announced = outputs.filter(({ stdout }) => stdout.includes('Seeded the merchant test@example.com.\n'))
  expect(announced).toHaveLength(1)
  for (const { stdout, stderr } of outputs) expect(stdout + stderr).not.toMatch(/_test_/)
})

test('the operator’s own credentials are seeded and not printed', async () => {
  await empty()
  const { stdout, stderr } = await migrate({
    TEST_MERCHANT_EMAIL: 'Own@example.com',
    TEST_API_KEY: 'key_own',
    TEST_API_SECRET: 'secret_own',
  })
  expect(stdout).toContain('Seeded the merchant own@example.com.')
  expect(stdout + stderr).not.toMatch(/key_own|secret_own/)
  expect(await merchants()).toMatchObject([
    { email: 'own@example.com', api_key: 'key_own', api_secret: 'secret_own' },
  ])
})

test('a second seeding does not change the merchant', async () => {
  await database.query(
    `UPDATE merchants SET email = 'new@example.com', api_key = 'k', api_secret = 's', is_active = false`,
  )
  const before = await merchants()
  const { stdout } = await migrate()
  expect(stdout).not.toContain('Seeded')
  expect(await merchants()).toEqual(before)
  expect(await accounts()).toHaveLength(1)
})

test('concurrent seedings without the lock create one merchant', async () => {
  await empty()
  const seeded = await Promise.all(Array.from({ length: 8 }, () => seed(sandbox)))
  expect(seeded.filter((did) => did)).toHaveLength(1)
  expect(await merchants()).toHaveLength(1)
  expect(await accounts()).toHaveLength(1)
})

test.each([
  ['e-mail', { email: 'test@example.com' }],
  ['key', { key: 'key_test_abc123' }],
  ['id', { id: SEEDED_MERCHANT_ID }],
])(
  'nothing is seeded when another merchant has the %s, and that merchant does not get the account',
  async (_name, fields) => {
    await empty()
    await addMerchant(fields)
    const before = await merchants()
    const { stdout } = await migrate()
    expect(stdout).not.toContain('Seeded')
    expect(await merchants()).toEqual(before)
    expect(await accounts()).toEqual([])
  },
)

test('an account of another merchant stays with it', async () => {
  await empty()
  await addMerchant({})
  const theirs = { account: 'acc_merchant_456', merchant_id: '550e8400-e29b-41d4-a716-000000000000' }
  await database.query('INSERT INTO merchant_accounts VALUES ($1, $2)', Object.values(theirs))
  expect(await seed(sandbox)).toBe(true)
  expect(await accounts()).toEqual([theirs])
})

test('outside the sandbox the webhook secret is random, and without credentials nothing is seeded', async () => {
  await empty()
  expect(await seed({ sandbox: false, seededMerchant: undefined })).toBe(false)
  expect(await merchants()).toEqual([])
  const secrets = new Set<string>()
  for (let n = 0; n < 3; n++) {
    await empty()
    expect(await seed({ ...sandbox, sandbox: false })).toBe(true)
    const [row] = await database.query<{ webhook_secret: string }>('SELECT webhook_secret FROM merchants')
    expect(row?.webhook_secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    secrets.add(row!.webhook_secret)
  }
  expect(secrets.size).toBe(3)
})

test('a sandbox database gets a random webhook secret when it leaves the sandbox', async () => {
  await empty()
  expect(await seed(sandbox)).toBe(true)
  const secretOf = async () =>
    (await database.query<{ webhook_secret: string }>('SELECT webhook_secret FROM merchants'))[0]!
      .webhook_secret
  await seed(sandbox)
  expect(await secretOf()).toBe('whsec_test_abc123')
  await seed({ sandbox: false, seededMerchant: undefined })
  const own = await secretOf()
  expect(own).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  await seed({ sandbox: false, seededMerchant: undefined })
  expect(await secretOf()).toBe(own)
})
