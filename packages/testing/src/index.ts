// Real servers for tests.
export { untilAllKnown, untilKnown } from './answers.ts'
export { type AppProcess, startApp } from './app-process.ts'
export { browserPath, launchBrowser } from './browser.ts'
export { type DnsAnswer, startDnsServer, type TestDnsServer } from './dns-server.ts'
export { countEndings, findBroken, findFaults } from './effects.ts'
export {
  addMerchant,
  expectStatus,
  goodCard,
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
export { watchPauses } from './pauses.ts'
export {
  createDatabase,
  makeTemporaryFolder,
  queryOn,
  startPostgres,
  type TestDatabase,
  type TestServer,
} from './postgres.ts'
export { errorOf, openPosts, type Post } from './posts.ts'
export { randomSeed, seededRandom, shuffled } from './random.ts'
export { startReceiver, type TestReceiver } from './receiver.ts'
export { hasRedis, startRedis, type TestRedis } from './redis.ts'
export { askRedis, dumpRedis, monitorRedis } from './redis-wire.ts'
export { unequalTimes } from './same-time.ts'
export {
  type QueueBackend,
  queueBackends,
  startSystem,
  startSystemOn,
  type TestSystem,
} from './system.ts'
export { volume } from './volume.ts'
export { waitFor } from './wait.ts'
