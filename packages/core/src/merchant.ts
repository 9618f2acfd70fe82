// `npm run merchant -- <command>`: creates and manages merchants in the database at DATABASE_URL, then ends.
import { type Command, errorLine, parseCommand, USAGE } from './merchants/commands.ts'
import { readPassword } from './merchants/read-password.ts'
import { readServiceConfig } from './platform/config.ts'
import { createLogger } from './platform/logger.ts'

/** An operator waits longer than an HTTP request. */
const timeouts = { statementTimeoutMs: 5000, connectTimeoutMs: 5000 }

async function run(command: Command): Promise<string> {
  const { databaseUrl } = readServiceConfig(process.env)
  const log = createLogger({ logLevel: 'silent' }, 'merchant')
  const { openDatabase } = await import('./platform/database.ts') // loads slowly, and the help does not need it
  const db = openDatabase({ url: databaseUrl, applicationName: 'sluice-merchant', log, ...timeouts })
  try {
    return await command({ db, askForPassword: () => readPassword(process.stdin, process.stderr) })
  } finally {
    await db.close()
  }
}

const command = parseCommand(process.argv.slice(2))
if (command === undefined) {
  console.error(USAGE)
  process.exit(2)
}
if (command === 'help') {
  console.log(USAGE)
  process.exit(0)
}
try {
  console.log(await run(command))
  process.exit(0) // standard input may still be open
} catch (error) {
  console.error(errorLine(error))
  process.exit(1)
}
