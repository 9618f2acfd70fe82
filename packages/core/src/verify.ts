// `npm run verify`: checks what must hold of money and work in the database that DATABASE_URL names; exit code 1, with a list, when something does not.
import { ConfigError, readServiceConfig } from './platform/config.ts'
import { describe, findViolations } from './verify/verify.ts'

try {
  const { databaseUrl } = readServiceConfig(process.env)
  const violations = await findViolations(databaseUrl)
  console.log(describe(violations))
  console.log(violations.length === 0 ? 'All of it holds.' : `${violations.length} of these do not hold.`)
  process.exitCode = violations.length === 0 ? 0 : 1
} catch (error) {
  const { message, code } = error as { message?: string; code?: string }
  console.error(
    error instanceof ConfigError ? error.message : `Cannot read the database: ${message || code || error}`,
  )
  process.exitCode = 2
}
