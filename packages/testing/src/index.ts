// Real servers and helpers for tests.

export { type AppProcess, startApp } from './app-process.ts'
export { browserPath, launchBrowser } from './browser.ts'
export { type DnsAnswer, startDnsServer, type TestDnsServer } from './dns-server.ts'
export { findUnequalDurations } from './durations.ts'
export { countCompletions, findFaults, findViolatedInvariants } from './effects.ts'
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
export { type Ledger, paymentEventBody, postEvents, transactionBody } from './ledger.ts'
export {
  type MisbehavingServer,
  type MisbehaviourName,
  misbehaviours,
  refusedUrl,
  startMisbehavingServer,
  startStoppedServer,
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
export { dumpRedis, monitorRedis, runRedisCommand } from './redis-wire.ts'
export { untilAllKnown, untilKnown } from './responses.ts'
export {
  type QueueBackend,
  queueBackends,
  startSystem,
  startSystemOn,
  type TestSystem,
} from './system.ts'
export { volume } from './volume.ts'
export { waitFor } from './wait.ts'
