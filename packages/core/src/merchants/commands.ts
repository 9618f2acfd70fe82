// The operator's commands: parsing of arguments, printed results and error lines.
import { parseArgs } from 'node:util'
import { ConfigError } from '../platform/config.ts'
import type { Database } from '../platform/database.ts'
import { isUnavailable, SluiceError } from '../platform/errors.ts'
import {
  assignAccounts,
  changePassword,
  createMerchant,
  type ListedMerchant,
  listMerchants,
  setActive,
} from './manage.ts'

export const USAGE = `Usage: npm run merchant -- <command>
  create --name <name> --email <e-mail> [--account <account> …]   creates a merchant, shows its key and secret once
  password <e-mail>                                               sets the dashboard's password, ends all sessions
  account <e-mail> <account> …                                    assigns accounts to a merchant
  list                                                            lists merchants and their accounts
  activate <e-mail>                                               activates a merchant
  deactivate <e-mail>                                             deactivates a merchant, ends all sessions`

interface CommandDeps {
  db: Database
  askForPassword: () => Promise<string>
}

/** A parsed command; it returns the text to print. */
export type Command = (deps: CommandDeps) => Promise<string>

/** The command, or undefined for wrong arguments. */
export function parseCommand([command, ...args]: string[]): Command | 'help' | undefined {
  switch (command) {
    case '--help':
    case '-h':
      return args.length === 0 ? 'help' : undefined
    case 'create':
      return parseCreate(args)
    case 'password':
      return withTexts(args, 1, async ({ db, askForPassword }, email) => {
        await changePassword(db, email, askForPassword)
        return `The password of ${email} is set; all its sessions are ended.`
      })
    case 'account':
      return withTexts(args, 2, async ({ db }, email, ...accounts) => {
        await assignAccounts(db, email, accounts)
        return `${email} has the account${accounts.length > 1 ? 's' : ''} ${accounts.map(printable).join(', ')}.`
      })
    case 'list':
      return withTexts(args, 0, async ({ db }) => {
        const lines = (await listMerchants(db)).map(shown)
        return lines.join('\n') || 'There are no merchants.'
      })
    case 'activate':
      return withTexts(args, 1, async ({ db }, email) => {
        await setActive(db, email, true)
        return `${email} is active.`
      })
    case 'deactivate':
      return withTexts(args, 1, async ({ db }, email) => {
        await setActive(db, email, false)
        return `${email} is inactive now; all its sessions are ended.`
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
  return async ({ db }) => {
    const created = await createMerchant(db, { name, email, accounts: account })
    return [
      `Created ${name}. The secret is not shown here again.`,
      `  id          ${created.id}`,
      `  api_key     ${created.apiKey}`,
      `  api_secret  ${created.apiSecret}`,
      'The dashboard needs a password:',
      `  npm run merchant -- password ${created.email}`,
    ].join('\n')
  }
}

/** A command with `count` positional arguments. A count of 2 is an e-mail and one or more accounts. */
function withTexts<const Count extends 0 | 1 | 2>(
  args: string[],
  count: Count,
  command: (deps: CommandDeps, ...texts: Texts[Count]) => Promise<string>,
): Command | undefined {
  const texts = parsed(() => parseArgs({ args, allowPositionals: true }))?.positionals
  const hasRightCount = count === 2 ? texts && texts.length >= 2 : texts?.length === count
  return hasRightCount ? (deps) => command(deps, ...(texts as Texts[Count])) : undefined
}

type Texts = { 0: []; 1: [string]; 2: [string, ...string[]] }

/** parseArgs throws on an unknown option. */
function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}

const shown = ({ name, email, isActive, accounts }: ListedMerchant) =>
  [email, isActive ? 'active' : 'not active', name, accounts.map(printable).join(', ')].join('\t')

/** Quotes an account that contains white space, commas, quotes or control characters. */
const printable = (text: string) =>
  /^[^\s\p{C}",]+$/u.test(text)
    ? text
    : JSON.stringify(text).replace(/\p{C}/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)

/** The error in one line. Messages of PostgreSQL and Prisma may have several. */
export function errorLine(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  const { message, code } = error as { message?: string; code?: string }
  const line = (message || code || String(error)).replace(/\s+/g, ' ').trim()
  if (error instanceof SluiceError && error.code === 'SERVICE_UNAVAILABLE') {
    return 'The database did not respond in time; the change may or may not be stored. Check with the command list.'
  }
  if (error instanceof SluiceError) return `${line[0]?.toUpperCase()}${line.slice(1)}.`
  return isUnavailable(error)
    ? `The database is unreachable or too slow: ${line}`
    : `The command failed: ${line}`
}
