// What an operator does with merchants, through packages/core/src/merchant.ts.
import { isExternalId } from '@sluice/contracts'
import type { Database, Tx } from '../platform/database.ts'
import { badRequest, notFound, SluiceError } from '../platform/errors.ts'
import { randomText } from '../platform/ids.ts'
import { endSessionsOf, setPassword } from './sessions.ts'

const NAME = /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,255}$/u
const EMAIL = /^(?=.{1,255}$)[^@\s\p{Cc}\p{Cs}]+@[^@\s\p{Cc}\p{Cs}]+$/u

export interface NewMerchant {
  id: string
  email: string
  apiKey: string
  /** Not to be had again from here. */
  apiSecret: string
}

/**
 * Makes a merchant with credentials of its own, and gives it the accounts.
 * @throws SluiceError BAD_REQUEST_ERROR, or CONFLICT_ERROR when the e-mail or an account is somebody else's
 */
export async function createMerchant(
  db: Database,
  { name, email, accounts }: { name: string; email: string; accounts: readonly string[] },
): Promise<NewMerchant> {
  if (!NAME.test(name)) {
    throw badRequest({
      field: 'name',
      description: 'name must be 1 to 255 characters, no control characters, not only spaces',
    })
  }
  const address = checkedEmail(email)
  checkAccounts(accounts)
  const apiKey = `key_${randomText(24)}`
  const apiSecret = `secret_${randomText(40)}`
  return db.atomically(async (tx) => {
    const [made] = await tx.query<{ id: string }>({
      text: `
        INSERT INTO merchants (name, email, api_key, api_secret) VALUES ($1, $2, $3, $4)
        ON CONFLICT (email) DO NOTHING RETURNING id`,
      values: [name, address, apiKey, apiSecret],
    })
    if (made === undefined) {
      throw new SluiceError('CONFLICT_ERROR', `there is a merchant with the e-mail ${address} already`)
    }
    await insertAccounts(tx, made.id, accounts)
    return { id: made.id, email: address, apiKey, apiSecret }
  })
}

/**
 * Gives accounts to the merchant; those that it has stay its own. All of them or none.
 * @throws SluiceError BAD_REQUEST_ERROR, NOT_FOUND_ERROR, or CONFLICT_ERROR when one is somebody else's
 */
export async function giveAccounts(db: Database, email: string, accounts: readonly string[]): Promise<void> {
  checkAccounts(accounts)
  const { id } = await requireMerchant(db, email)
  await db.atomically((tx) => insertAccounts(tx, id, accounts))
}

/** Sorted, so that two operators with the same accounts wait for each other in one order. */
async function insertAccounts(tx: Tx, merchantId: string, accounts: readonly string[]): Promise<void> {
  if (accounts.length === 0) return
  const wanted = [...new Set(accounts)].sort()
  await tx.query({
    text: `
      INSERT INTO merchant_accounts (account, merchant_id) SELECT unnest($1::text[]), $2
      ON CONFLICT DO NOTHING`,
    values: [wanted, merchantId],
  })
  const foreign = await tx.query<{ account: string }>({
    text: 'SELECT account FROM merchant_accounts WHERE account = ANY ($1) AND merchant_id <> $2 ORDER BY account',
    values: [wanted, merchantId],
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

/** All merchants, by e-mail, without anything secret. */
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
 * Lets the merchant in, or shuts it out and ends its sessions.
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
 * Asks for a password once it is known whose it will be, sets it and ends the merchant's sessions.
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

/** For a person at a terminal: which e-mail is unknown is said. */
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
    description: `account must be 1 to 100 characters, not "." or "..", without NUL, not ${shown}`,
  })
}
