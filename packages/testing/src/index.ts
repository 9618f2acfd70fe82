// Real servers for tests.
export { type AppProcess, startApp } from './app-process.ts'
export { browserPath, launchBrowser } from './browser.ts'
export { type Ledger, postTransactions, transactionBody } from './ledger.ts'
export {
  createDatabase,
  makeTemporaryFolder,
  queryOn,
  startPostgres,
  type TestDatabase,
  type TestServer,
} from './postgres.ts'
export { hasRedis, startRedis, type TestRedis } from './redis.ts'
export {
  countEndings,
  type QueueBackend,
  queueBackends,
  startSystem,
  startSystemOn,
  type TestSystem,
} from './system.ts'
export { waitFor } from './wait.ts'
