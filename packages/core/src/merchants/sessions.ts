// Dashboard sessions: rows with the hash of a random token, valid for twelve hours.
import { createHash, randomBytes } from 'node:crypto'
import type { Database, Tx } from '../platform/database.ts'
import { badRequest, notFound } from '../platform/errors.ts'
import type { Merchant } from './authenticate.ts'
import { hashPassword, passwordProblem, verifyPassword } from './password.ts'
import { SEEDED_MERCHANT_ID } from './seed.ts'

const TOKEN_BYTES = 32
const TOKEN = /^[\w-]{43}$/
const EMAIL = /^[^\0]{1,255}$/u

export interface OpenedSession {
  /** For the cookie. The database stores only its hash. */
  token: string
  expiresAt: Date
  merchant: Merchant
}

/**
 * Logs a merchant in, or returns undefined; for an unknown or inactive merchant after the same work. In the sandbox the
 * seeded merchant may use any password that is not empty.
 */
export async function openSession(
  { db, sandbox }: { db: Database; sandbox: boolean },
  { email, password }: { email: string; password: string },
): Promise<OpenedSession | undefined> {
  const known = await findLogin(db, email)
  const isVerified = await verifyPassword(password, known?.passwordHash ?? null)
  const acceptsAnyPassword = sandbox && known?.merchant.id === SEEDED_MERCHANT_ID && password !== ''
  if (known === undefined || !(isVerified || acceptsAnyPassword)) return undefined
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const expiresAt = await insertSession(db, known, { token, isVerified })
  return expiresAt && { token, expiresAt, merchant: known.merchant }
}

interface Login {
  merchant: Merchant
  passwordHash: string | null
}

async function findLogin(db: Database, email: string): Promise<Login | undefined> {
  const address = email.toLowerCase()
  if (!EMAIL.test(address)) return undefined
  const [login] = await db.query<Merchant & { passwordHash: string | null }>({
    name: 'login-by-email',
    text: 'SELECT id, name, email, password_hash AS "passwordHash" FROM merchants WHERE email = $1 AND is_active',
    values: [address],
  })
  if (login === undefined) return undefined
  const { passwordHash, ...merchant } = login
  return { merchant, passwordHash }
}

/**
 * During the password check another request may change the password or deactivate the merchant, and end all sessions.
 * FOR SHARE orders the two: either this session exists and is ended, or it is not created.
 */
async function insertSession(
  db: Database,
  { merchant, passwordHash }: Login,
  { token, isVerified }: { token: string; isVerified: boolean },
): Promise<Date | undefined> {
  const [session] = await db.query<{ expiresAt: Date }>({
    name: 'insert-session',
    text: `
      WITH login AS (
        SELECT id FROM merchants WHERE id = $1 AND is_active AND password_hash IS NOT DISTINCT FROM $2 FOR SHARE)
      INSERT INTO sessions (token_hash, merchant_id, password_verified, expires_at)
      SELECT $3, id, $4, now() + interval '12 hours' FROM login RETURNING expires_at AS "expiresAt"`,
    values: [merchant.id, passwordHash, hashOf(token), isVerified],
  })
  return session?.expiresAt
}

/**
 * The active merchant of an unexpired session, or undefined. Outside the sandbox a session counts only when its password
 * was verified, since the database may have been a sandbox before.
 */
export async function findSession(
  { db, sandbox }: { db: Database; sandbox: boolean },
  token: string,
): Promise<Merchant | undefined> {
  if (!TOKEN.test(token)) return undefined
  const [merchant] = await db.query<Merchant>({
    name: 'session',
    text: `
      SELECT merchants.id, name, email FROM sessions JOIN merchants ON merchants.id = merchant_id
      WHERE token_hash = $1 AND expires_at > now() AND is_active AND ($2 OR password_verified)`,
    values: [hashOf(token), sandbox],
  })
  return merchant
}

/** Logs out. An ended or unknown session is no error. */
export async function endSession(db: Database, token: string): Promise<void> {
  if (!TOKEN.test(token)) return
  await db.query({
    name: 'end-session',
    text: 'DELETE FROM sessions WHERE token_hash = $1',
    values: [hashOf(token)],
  })
}

/**
 * Sets the password and ends every session of the merchant.
 * @throws SluiceError BAD_REQUEST_ERROR when the password is too short or too long, NOT_FOUND_ERROR
 */
export async function setPassword(db: Database, merchantId: string, password: string): Promise<void> {
  const problem = passwordProblem(password)
  if (problem !== undefined) throw badRequest({ field: 'password', description: problem })
  const passwordHash = await hashPassword(password)
  await db.atomically(async (tx) => {
    const changed = await tx.query({
      text: 'UPDATE merchants SET password_hash = $2, updated_at = now() WHERE id = $1 RETURNING id',
      values: [merchantId, passwordHash],
    })
    if (changed.length === 0) throw notFound('merchant')
    await endSessionsOf(tx, merchantId)
  })
}

/** Call it after an update of the merchant's row in the same commit, whose lock delays new sessions. */
export async function endSessionsOf(tx: Tx, merchantId: string): Promise<void> {
  await tx.query({ text: 'DELETE FROM sessions WHERE merchant_id = $1', values: [merchantId] })
}

/** The token is random, so that a plain hash is irreversible. */
const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')
