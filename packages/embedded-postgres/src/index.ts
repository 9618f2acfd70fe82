// A real PostgreSQL server for `npm start` and the tests: from npm, without an installation, for any user.
export type { Claim } from './claim.ts'
export { AlreadyRunningError, EmbeddedPostgresError, type EmbeddedPostgresErrorCode } from './errors.ts'
export type { Owner } from './owner.ts'
export { freePort, isFree } from './ports.ts'
export { isAlive, waitUntil } from './processes.ts'
export { defaultDataDir } from './root-folder.ts'
export { urlOfRunningServer } from './running.ts'
export {
  claimDataDir,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  LAPTOP_SETTINGS,
  startEmbeddedPostgres,
} from './server.ts'
