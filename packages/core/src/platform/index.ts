// What every feature and app stands on.
//
// Glossary
//   delivery     one HTTP request with which a processor tells us of something
//   row          the durable record of a delivery; the row is the work
//   job          a BullMQ entry that says "look at this row"; losing it loses nothing
//   commit       one database transaction, usually shared by a group of rows (group-commit.ts)
//   due          when a row's work is to be done
//   dispatcher   finds rows without a live job and rings for them (dispatcher.ts)
//   open         of a row: there is work left in it

export { type Completer, createCompleter } from './complete.ts'
export * from './config.ts'
export { type Database, openDatabase } from './database.ts'
export { createDispatcher, type Dispatcher } from './dispatcher.ts'
export { createEnqueuer, type Enqueuer } from './enqueue.ts'
export { isUnavailable, notFound, SluiceError, StartupError, unavailable } from './errors.ts'
export { checkHealth } from './health.ts'
export { startHeartbeat } from './heartbeat.ts'
export { startHousekeeping } from './housekeeping.ts'
export type { Answer, KeyedRequest } from './idempotency.ts'
export { requestIds } from './ids.ts'
export { readJobsStatus } from './jobs-status.ts'
export { createLogger, type Logger } from './logger.ts'
export { createMetrics, type Metrics } from './metrics.ts'
export { type JobHandler, openQueueing, type Queueing } from './queue.ts'
export { gaugeWork } from './queue-metrics.ts'
export { gracefulShutdown, reportReady, runService } from './service.ts'
export { createSignatureCheck, signWebhook } from './standard-webhooks.ts'
export { openTracing, REQUEST_ID_ATTRIBUTE, type Tracing } from './tracing.ts'
export { createChangeWatch } from './watch.ts'
export type { WorkTable } from './work-table.ts'
