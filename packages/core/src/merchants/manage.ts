// The operator's verbs on merchants, for packages/core/src/merchant.ts.
import { isExternalId } from '@sluice/contracts'
import type { Database, Tx } from '../platform/database.ts'
import { badRequest, notFound, SluiceError } from '../platform/errors.ts'
import { randomText } from '../platform/ids.ts'
import { endSessionsOf, setPassword } from './sessions.ts'

const NAME = /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,255}$/u
const EMAIL = /^(?=.{1,255}$)[^@\s\p{Cc}\p{Cs}]+@[^@\s\p{Cc}\p{Cs}]+$/u

export interface CreatedMerchant {
  id: string
  email: string
  apiKey: string
  /** Shown only once. */
  apiSecret: string
}

/**
 * Creates a merchant with new credentials, and assigns the accounts.
 * @throws SluiceError BAD_REQUEST_ERROR, or CONFLICT_ERROR when the e-mail or an account belongs to another merchant
 */
export async function createMerchant(
  db: Database,
  { name, email, accounts }: { name: string; email: string; accounts: readonly string[] },
): Promise<CreatedMerchant> {
  if (!NAME.test(name)) {
    throw badRequest({
      field: 'name',
      description: 'name must have 1 to 255 characters, no control characters, and not only spaces',
    })
  }
  const address = checkedEmail(email)
  checkAccounts(accounts)
  const apiKey = `key_${randomText(24)}`
  const apiSecret = `secret_${randomText(40)}`
  return db.atomically(async (tx) => {
    const [created] = await tx.query<{ id: string }>({
      text: `
        INSERT INTO merchants (name, email, api_key, api_secret) VALUES ($1, $2, $3, $4)
        ON CONFLICT (email) DO NOTHING RETURNING id`,
      values: [name, address, apiKey, apiSecret],
    })
    if (created === undefined) {
      throw new SluiceError('CONFLICT_ERROR', `e-mail must be new; another merchant has ${address} already`)
    }
    await insertAccounts(tx, created.id, accounts)
    return { id: created.id, email: address, apiKey, apiSecret }
  })
}

/**
 * Assigns all of the accounts to the merchant, or none. The merchant keeps the accounts that it has.
 * @throws SluiceError BAD_REQUEST_ERROR, NOT_FOUND_ERROR, or CONFLICT_ERROR when another merchant has one
 */
export async function assignAccounts(
  db: Database,
  email: string,
  accounts: readonly string[],
): Promise<void> {
  checkAccounts(accounts)
  const { id } = await requireMerchant(db, email)
  await db.atomically((tx) => insertAccounts(tx, id, accounts))
}

/** Sorts the accounts, so that two concurrent calls lock them in one order and never deadlock. */
async function insertAccounts(tx: Tx, merchantId: string, accounts: readonly string[]): Promise<void> {
  if (accounts.length === 0) return
  const sorted = [...new Set(accounts)].sort()
  await tx.query({
    text: `
      INSERT INTO merchant_accounts (account, merchant_id) SELECT unnest($1::text[]), $2
      ON CONFLICT DO NOTHING`,
    values: [sorted, merchantId],
  })
  const foreign = await tx.query<{ account: string }>({
    text: 'SELECT account FROM merchant_accounts WHERE account = ANY ($1) AND merchant_id <> $2 ORDER BY account',
    values: [sorted, merchantId],
  })
  if (foreign.length === 0) return
  const names = foreign.map(({ account }) => JSON.stringify(account)).join(', ')
  throw new SluiceError(
    'CONFLICT_ERROR',
    `nothing was changed: ${names} ${foreign.length === 1 ? 'belongs' : 'belong'} to another merchant`,
  )
}

export interface ListedMerchant {
  name: string
  email: string
  isActive: boolean
  accounts: string[]
}

/** All merchants without secrets, sorted by e-mail. */
export async function listMerchants(db: Database): Promise<ListedMerchant[]> {
  const rows = await db.prisma.merchant.findMany({
    select: {
      name: true,
      email: true,
      isActive: true,
      accounts: { select: { account: true }, orderBy: { account: 'asc' } },
    },
    orderBy: { email: 'asc' },
  })
  return rows.map((row) => ({ ...row, accounts: row.accounts.map(({ account }) => account) }))
}

/**
 * Activates the merchant, or deactivates it and ends its sessions.
 * @throws SluiceError BAD_REQUEST_ERROR, NOT_FOUND_ERROR
 */
export async function setActive(db: Database, email: string, isActive: boolean): Promise<void> {
  const { id } = await requireMerchant(db, email)
  await db.atomically(async (tx) => {
    await tx.query({
      text: 'UPDATE merchants SET is_active = $2, updated_at = now() WHERE id = $1',
      values: [id, isActive],
    })
    if (!isActive) await endSessionsOf(tx, id)
  })
}

/**
 * Finds the merchant, then asks for a password, sets it and ends the merchant's sessions.
 * @throws SluiceError BAD_REQUEST_ERROR, NOT_FOUND_ERROR
 */
export async function changePassword(
  db: Database,
  email: string,
  askForPassword: () => Promise<string>,
): Promise<void> {
  const { id } = await requireMerchant(db, email)
  await setPassword(db, id, await askForPassword())
}

/** The error names the unknown e-mail, for a person at a terminal. */
async function requireMerchant(db: Database, email: string): Promise<{ id: string }> {
  const address = checkedEmail(email)
  const merchant = await db.prisma.merchant.findUnique({ where: { email: address }, select: { id: true } })
  if (merchant === null) throw notFound(`merchant ${address}`)
  return merchant
}

function checkedEmail(email: string): string {
  const address = email.toLowerCase()
  if (EMAIL.test(address)) return address
  throw badRequest({
    field: 'email',
    description: 'e-mail must have one @, no white space or control characters, and at most 255 characters',
  })
}

function checkAccounts(accounts: readonly string[]): void {
  const wrong = accounts.find((account) => !isExternalId(account))
  if (wrong === undefined) return
  const shown = JSON.stringify([...wrong].slice(0, 120).join(''))
  throw badRequest({
    field: 'account',
    description: `account must have 1 to 100 characters, not be "." or "..", and contain no NUL; ${shown} does not`,
  })
}
