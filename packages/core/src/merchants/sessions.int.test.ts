// Sessions on a real database: who may log in, for how long, and what ends a session.
import { createHash } from 'node:crypto'
import { createDatabase, findUnequalDurations, type TestDatabase, waitFor } from '@sluice/testing'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { type Database, openDatabase, type Statement } from '../platform/database.ts'
import { createMerchant, setActive } from './manage.ts'
import { hashPassword } from './password.ts'
import { SEEDED_MERCHANT_ID } from './seed.ts'
import { endSession, findSession, openSession, setPassword } from './sessions.ts'

const email = 'ops@acme.example'
const password = 'correct horse'
/** A busy machine takes its time. */
const patient = { statementTimeoutMs: 5000, connectTimeoutMs: 5000 }
let database: TestDatabase
let db: Database
/** The statements that `db.query` sent to the database. */
let statements: Statement[]
let acme: { id: string; name: string; email: string }
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
  const { id } = await createMerchant(db, { name: 'Acme', email, accounts: [] })
  acme = { id, name: 'Acme', email }
  await setPassword(db, id, password)
})
afterEach(async () => {
  await db.close()
  await database.drop()
})

const logIn = (credentials: { email?: string; password?: string } = {}, sandbox = false) =>
  openSession({ db, sandbox }, { email, password, ...credentials })

test('a session belongs to its merchant until its end, and lasts twelve hours', async () => {
  const before = Date.now()
  const [session, other] = await Promise.all([logIn(), logIn({ email: 'OPS@Acme.Example' })])
  expect(session).toEqual({
    token: expect.stringMatching(/^[\w-]{43}$/),
    expiresAt: expect.any(Date),
    merchant: acme,
  })
  const lastsMs = session!.expiresAt.getTime() - before
  expect(lastsMs).toBeGreaterThan(12 * 3_600_000 - 5_000)
  expect(lastsMs).toBeLessThan(12 * 3_600_000 + 30_000)
  expect(other!.token).not.toBe(session!.token)
  expect(await findSession({ db, sandbox: true }, session!.token)).toEqual(acme)
  await endSession(db, session!.token)
  await endSession(db, session!.token)
  expect(await findSession({ db, sandbox: true }, session!.token)).toBeUndefined()
  expect(await findSession({ db, sandbox: true }, other!.token)).toEqual(acme)
})

test('the database stores the hash of a token, not the token', async () => {
  const { token } = (await logIn())!
  const rows = await database.query('SELECT token_hash, merchant_id FROM sessions')
  const hash = createHash('sha256').update(token).digest('hex')
  expect(rows).toEqual([{ token_hash: hash, merchant_id: acme.id }])
  expect(await findSession({ db, sandbox: true }, hash)).toBeUndefined()
})

test('an expired session is invalid, by the database’s clock', async () => {
  const { token } = (await logIn())!
  await database.query(
    `UPDATE sessions SET created_at = now() - interval '12 hours', expires_at = now() + interval '1 minute'`,
  )
  expect(await findSession({ db, sandbox: true }, token)).toEqual(acme)
  await database.query(`UPDATE sessions SET expires_at = now() - interval '1 millisecond'`)
  expect(await findSession({ db, sandbox: true }, token)).toBeUndefined()
})

test('wrong passwords and unknown e-mails get no session', async () => {
  expect(await logIn({ password: 'correct horsf' })).toBeUndefined()
  expect(await logIn({ password: '' })).toBeUndefined()
  expect(await logIn({ password: 'x'.repeat(1_000_000) })).toBeUndefined()
  expect(await logIn({ email: 'unknown@acme.example' })).toBeUndefined()
  expect(await logIn({ email: `${email}\0` })).toBeUndefined()
  expect(await logIn({ email: '' })).toBeUndefined()
  await database.query(`UPDATE merchants SET password_hash = 'malformed'`)
  expect(await logIn({ password: 'malformed' })).toBeUndefined()
  await database.query('UPDATE merchants SET password_hash = NULL')
  expect(await logIn()).toBeUndefined()
  expect(await database.query('SELECT * FROM sessions')).toEqual([])
})

test('an unknown, an inactive and a password-less merchant take as long as a wrong password', async () => {
  await createMerchant(db, { name: 'Idle', email: 'idle@acme.example', accounts: [] })
  await createMerchant(db, { name: 'New', email: 'new@acme.example', accounts: [] })
  await setActive(db, 'idle@acme.example', false)
  const unequal = await findUnequalDurations({
    'a wrong password': () => logIn({ password: 'wrong horse' }),
    'an unknown merchant': () => logIn({ email: 'unknown@acme.example' }),
    'an inactive merchant': () => logIn({ email: 'idle@acme.example' }),
    'a merchant without a password': () => logIn({ email: 'new@acme.example' }),
  })
  expect(unequal).toBeUndefined()
})

test('an inactive merchant has no sessions, old or new', async () => {
  const { token } = (await logIn())!
  await database.query('UPDATE merchants SET is_active = false')
  expect(await findSession({ db, sandbox: true }, token)).toBeUndefined()
  expect(await logIn()).toBeUndefined()
  expect(await logIn({ email: 'test@example.com' }, true)).toBeUndefined()
})

test('a deactivation ends the merchant’s sessions for good, and no others', async () => {
  const { token } = (await logIn())!
  const seeded = (await logIn({ email: 'test@example.com' }, true))!
  await setActive(db, email, false)
  await setActive(db, email, true)
  expect(await findSession({ db, sandbox: true }, token)).toBeUndefined()
  expect(await findSession({ db, sandbox: true }, seeded.token)).toBeDefined()
})

test('any password opens the seeded merchant in the sandbox, and no other merchant', async () => {
  const email = 'test@example.com'
  const session = await logIn({ email, password: 'x' }, true)
  expect(session?.merchant.id).toBe(SEEDED_MERCHANT_ID)
  expect(await findSession({ db, sandbox: true }, session!.token)).toEqual(session!.merchant)
  expect(await logIn({ email, password: '' }, true)).toBeUndefined()
  expect(await logIn({ email, password: 'x' }, false)).toBeUndefined()
  expect(await logIn({ password: 'x' }, true)).toBeUndefined()
  expect(await logIn({}, true)).toBeDefined()
  await setPassword(db, SEEDED_MERCHANT_ID, 'a real password')
  expect(await logIn({ email, password: 'x' }, false)).toBeUndefined()
  expect(await logIn({ email, password: 'a real password' }, false)).toBeDefined()
})

test('a session without a verified password ends with the sandbox; a verified one stays valid', async () => {
  const email = 'test@example.com'
  await setPassword(db, SEEDED_MERCHANT_ID, 'a real password')
  for (const [password, survives] of [
    ['x', false],
    ['a real password', true],
  ] as const) {
    const { token, merchant } = (await logIn({ email, password }, true))!
    expect(await findSession({ db, sandbox: true }, token)).toEqual(merchant)
    expect(await findSession({ db, sandbox: false }, token)).toEqual(survives ? merchant : undefined)
  }
})

test('a new password ends the merchant’s sessions and no others', async () => {
  const mine = [await logIn(), await logIn()]
  const seeded = (await logIn({ email: 'test@example.com' }, true))!
  await setPassword(db, acme.id, 'battery staple')
  for (const session of mine) expect(await findSession({ db, sandbox: true }, session!.token)).toBeUndefined()
  expect(await findSession({ db, sandbox: true }, seeded.token)).toBeDefined()
  expect(await logIn()).toBeUndefined()
  expect(await logIn({ password: 'battery staple' })).toBeDefined()
})

test('a refused password changes nothing', async () => {
  const { token } = (await logIn())!
  await expect(setPassword(db, acme.id, 'short')).rejects.toMatchObject({ code: 'BAD_REQUEST_ERROR' })
  await expect(setPassword(db, acme.id, 'x'.repeat(201))).rejects.toMatchObject({ code: 'BAD_REQUEST_ERROR' })
  await expect(setPassword(db, '550e8400-e29b-41d4-a716-000000000000', password)).rejects.toMatchObject({
    code: 'NOT_FOUND_ERROR',
  })
  expect(await findSession({ db, sandbox: true }, token)).toEqual(acme)
  expect(await logIn()).toBeDefined()
})

test('the password and the end of the sessions are one commit', async () => {
  const { token } = (await logIn())!
  await database.query(`
    CREATE FUNCTION refuse_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
    CREATE TRIGGER refuse_end BEFORE DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION refuse_end();`)
  await expect(setPassword(db, acme.id, 'battery staple')).rejects.toThrow('refused')
  expect(await logIn()).toBeDefined()
  expect(await findSession({ db, sandbox: true }, token)).toEqual(acme)
})

const waitingForLock = () =>
  waitFor('a statement that waits for a lock', async () => {
    const rows = await database.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    )
    return rows.length > 0
  })

test.each([
  ['a password change', async () => `password_hash = '${await hashPassword('battery staple')}'`],
  ['a deactivation', async () => 'is_active = false'],
])('a login that overlaps %s creates no session that survives it', async (_name, change) => {
  const operator = await database.session()
  try {
    await operator.query('BEGIN')
    await operator.query(`UPDATE merchants SET ${await change()} WHERE email = $1`, [email])
    const login = logIn()
    await waitingForLock()
    await operator.query('DELETE FROM sessions')
    await operator.query('COMMIT')
    expect(await login).toBeUndefined()
    expect(await database.query('SELECT * FROM sessions')).toEqual([])
  } finally {
    await operator.end()
  }
})

test('a password change ends a session that was created just before it', async () => {
  const login = await database.session()
  try {
    await login.query('BEGIN')
    await login.query('SELECT 1 FROM merchants WHERE id = $1 FOR SHARE', [acme.id])
    await login.query(
      `INSERT INTO sessions (token_hash, merchant_id, expires_at) VALUES ('x', $1, now() + interval '1 h')`,
      [acme.id],
    )
    const changed = setPassword(db, acme.id, 'battery staple')
    await waitingForLock()
    await login.query('COMMIT')
    await changed
    expect(await database.query('SELECT * FROM sessions')).toEqual([])
  } finally {
    await login.end()
  }
})

test('a session is found by one prepared statement, and a malformed token causes none', async () => {
  const { token } = (await logIn())!
  statements = []
  expect(await findSession({ db, sandbox: true }, token)).toEqual(acme)
  expect(statements).toHaveLength(1)
  expect(statements[0]?.name).toBeTypeOf('string')
  for (const wrong of [
    '',
    token.slice(1),
    `${token}A`,
    `${token}\n`,
    `${token.slice(1)}\0`,
    `${token.slice(1)}é`,
  ]) {
    expect(await findSession({ db, sandbox: true }, wrong)).toBeUndefined()
    await endSession(db, wrong)
  }
  expect(statements).toHaveLength(1)
  expect(await findSession({ db, sandbox: true }, token.split('').reverse().join(''))).toBeUndefined()
})
