// `npm run merchant -- <command>`: makes and manages merchants in the database that DATABASE_URL names, then ends.
import { parseArgs } from 'node:util'
import {
  changePassword,
  createMerchant,
  giveAccounts,
  type ListedMerchant,
  listMerchants,
  setActive,
} from './merchants/manage.ts'
import { readPassword } from './merchants/read-password.ts'
import { ConfigError, readServiceConfig } from './platform/config.ts'
import { type Database, openDatabase } from './platform/database.ts'
import { isUnavailable, SluiceError } from './platform/errors.ts'
import { createLogger } from './platform/logger.ts'

const USAGE = `Usage: npm run merchant -- <command>
  create --name <name> --email <e-mail> [--account <account> …]   makes a merchant, shows its key and secret once
  password <e-mail>                                               sets the dashboard's password, ends all sessions
  account <e-mail> <account> …                                    gives accounts to a merchant
  list                                                            merchants and their accounts
  activate <e-mail>                                               lets a merchant in again
  deactivate <e-mail>                                             shuts a merchant out, ends all sessions`

/** An operator has more patience than an HTTP request. */
const STATEMENT_TIMEOUT_MS = 5000

/** What the arguments ask for: a function of the database that answers what to print. */
type Command = (db: Database) => Promise<string>

/** The command, or undefined when the arguments are none. */
function parseCommand([command, ...args]: string[]): Command | undefined {
  switch (command) {
    case 'create':
      return parseCreate(args)
    case 'password':
      return withTexts(args, 1, async (db, email) => {
        await changePassword(db, email, () => readPassword(process.stdin, process.stderr))
        return `The password of ${email} is set; all its sessions are ended.`
      })
    case 'account':
      return withTexts(args, 2, async (db, email, ...accounts) => {
        await giveAccounts(db, email, accounts)
        return `${email} has the account${accounts.length > 1 ? 's' : ''} ${accounts.map(printable).join(', ')}.`
      })
    case 'list':
      return withTexts(args, 0, async (db) => {
        const lines = (await listMerchants(db)).map(shown)
        return lines.join('\n') || 'There are no merchants.'
      })
    case 'activate':
      return withTexts(args, 1, async (db, email) => {
        await setActive(db, email, true)
        return `${email} is active.`
      })
    case 'deactivate':
      return withTexts(args, 1, async (db, email) => {
        await setActive(db, email, false)
        return `${email} is not active any more; all its sessions are ended.`
      })
    default:
      return undefined
  }
}

function parseCreate(args: string[]): Command | undefined {
  const text = { type: 'string' } as const
  const options = { name: text, email: text, account: { ...text, multiple: true } } as const
  const { name, email, account = [] } = parsed(() => parseArgs({ args, options }))?.values ?? {}
  if (name === undefined || email === undefined) return undefined
  return async (db) => {
    const made = await createMerchant(db, { name, email, accounts: account })
    return [
      `Created ${name}. The secret is not shown here again.`,
      `  id          ${made.id}`,
      `  api_key     ${made.apiKey}`,
      `  api_secret  ${made.apiSecret}`,
      'For the dashboard it needs a password:',
      `  npm run merchant -- password ${made.email}`,
    ].join('\n')
  }
}

/** A command of plain arguments: this many of them, of accounts (the second) any number. */
function withTexts<const Count extends 0 | 1 | 2>(
  args: string[],
  count: Count,
  command: (db: Database, ...texts: Texts[Count]) => Promise<string>,
): Command | undefined {
  const texts = parsed(() => parseArgs({ args, allowPositionals: true }))?.positionals
  const isRight = count === 2 ? texts && texts.length >= 2 : texts?.length === count
  return isRight ? (db) => command(db, ...(texts as Texts[Count])) : undefined
}

type Texts = { 0: []; 1: [string]; 2: [string, ...string[]] }

/** parseArgs throws where it meets an option that it doesn't know. */
function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}

const shown = ({ name, email, isActive, accounts }: ListedMerchant) =>
  [email, isActive ? 'active' : 'not active', name, accounts.map(printable).join(', ')].join('\t')

/** Accounts are any text: what could be taken for two of them, or for the terminal's business, is quoted. */
const printable = (text: string) =>
  /^[^\s\p{C}",]+$/u.test(text)
    ? text
    : JSON.stringify(text).replace(/\p{C}/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)

async function run(command: Command): Promise<string> {
  const { databaseUrl } = readServiceConfig(process.env)
  const log = createLogger({ logLevel: 'silent' }, 'merchant')
  const options = { url: databaseUrl, applicationName: 'sluice-merchant', log }
  const db = openDatabase({ ...options, statementTimeoutMs: STATEMENT_TIMEOUT_MS })
  try {
    return await command(db)
  } finally {
    await db.close()
  }
}

/** In one line; what PostgreSQL or Prisma says may have several. */
function problemOf(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  const { message, code } = error as { message?: string; code?: string }
  const line = (message || code || String(error)).replace(/\s+/g, ' ').trim()
  if (error instanceof SluiceError && error.code === 'SERVICE_UNAVAILABLE') {
    return 'The database did not answer in time; nobody knows whether something was changed.'
  }
  if (error instanceof SluiceError) return `${line[0]?.toUpperCase()}${line.slice(1)}.`
  return isUnavailable(error) ? `The database is away or too slow: ${line}` : `It did not work: ${line}`
}

const command = parseCommand(process.argv.slice(2))
if (command === undefined) {
  console.error(USAGE)
  process.exit(2)
}
try {
  console.log(await run(command))
  process.exit(0) // standard input may still be open
} catch (error) {
  console.error(problemOf(error))
  process.exit(1)
}
