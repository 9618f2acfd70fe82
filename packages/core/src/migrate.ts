// `node packages/core/dist/migrate.js`: prepares the database at DATABASE_URL, seeds its first merchant, then ends.
import { seedMerchant } from './merchants/seed.ts'
import { ConfigError, readServiceConfig } from './platform/config.ts'
import { prepareDatabase } from './platform/migrate.ts'

try {
  const config = readServiceConfig(process.env)
  const { applied, seeded } = await prepareDatabase(config, (client) => seedMerchant(client, config))
  console.log(applied.length === 0 ? 'The database is up to date.' : `Applied ${applied.join(', ')}.`)
  if (seeded) console.log(`Seeded the merchant ${config.seededMerchant?.email}.`)
} catch (error) {
  console.error(
    error instanceof ConfigError ? error.message : `Cannot prepare the database: ${messageOf(error)}`,
  )
  process.exit(1)
}

/** AggregateError, which a refused connection is, has no message of its own. */
function messageOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string }
  return message || code || String(error)
}
