// Real servers for tests.
export { type AppProcess, startApp } from './app-process.ts'
export { browserPath, launchBrowser } from './browser.ts'
export { type DnsAnswer, startDnsServer, type TestDnsServer } from './dns-server.ts'
export { countEndings, findBroken, findFaults } from './effects.ts'
export {
  addMerchant,
  expectStatus,
  type Keys,
  openShop,
  SEEDED_MERCHANT_ID,
  type Shop,
  seededKeys,
} from './gateway.ts'
export { type Ledger, paymentEventBody, postDeliveries, transactionBody } from './ledger.ts'
export {
  type MisbehavingServer,
  type MisbehaviourName,
  misbehaviours,
  refusedUrl,
  startDeafServer,
  startMisbehavingServer,
  testCertificate,
} from './misbehaving-server.ts'
export {
  createDatabase,
  makeTemporaryFolder,
  queryOn,
  startPostgres,
  type TestDatabase,
  type TestServer,
} from './postgres.ts'
export { startReceiver, type TestReceiver } from './receiver.ts'
export { hasRedis, startRedis, type TestRedis } from './redis.ts'
export {
  type QueueBackend,
  queueBackends,
  startSystem,
  startSystemOn,
  type TestSystem,
} from './system.ts'
export { waitFor } from './wait.ts'
