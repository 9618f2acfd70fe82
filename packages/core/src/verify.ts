// `npm run verify`: checks the invariants in the database at DATABASE_URL. Exit code 1 means violations.
import { ConfigError, readServiceConfig } from './platform/config.ts'
import { findViolations, violationReport } from './verify/verify.ts'

try {
  const { databaseUrl } = readServiceConfig(process.env)
  const violations = await findViolations(databaseUrl)
  console.log(violationReport(violations))
  console.log(violations.length === 0 ? 'All invariants hold.' : `Violated invariants: ${violations.length}.`)
  process.exitCode = violations.length === 0 ? 0 : 1
} catch (error) {
  const { message, code } = error as { message?: string; code?: string }
  console.error(
    error instanceof ConfigError ? error.message : `Cannot read the database: ${message || code || error}`,
  )
  process.exitCode = 2
}
