// The worker process: takes jobs from the queue and calls one function of core for each. Several may run.
import {
  allCleanupTasks,
  allWork,
  createDeliveryLoop,
  createDispatcher,
  createEnqueuer,
  createExternalPaymentsOwner,
  createLogger,
  createMetrics,
  createOutbound,
  createSimulatedBank,
  gracefulShutdown,
  openDatabase,
  openQueueing,
  openTracing,
  readServiceConfig,
  reportReady,
  runService,
  startHeartbeat,
  startHousekeeping,
  webhookWork,
} from '@sluice/core'
import { consumeJobs, createHandlers } from './handlers.ts'
import { buildOperations } from './operations.ts'

await runService('WORKER_METRICS_PORT', main)

async function main(): Promise<void> {
  const config = readServiceConfig(process.env)
  const log = createLogger(config, 'worker')
  const metrics = createMetrics()
  const { databaseUrl, redisUrl, retentionDays } = config
  // A job may wait longer for a slow database than a request may.
  const db = openDatabase({
    url: databaseUrl,
    applicationName: 'sluice-worker',
    log,
    statementTimeoutMs: 5000,
  })
  const tracing = await openTracing({ endpoint: config.otelEndpoint, serviceName: 'sluice-worker', log })
  const queueing = openQueueing({ databaseUrl, redisUrl, log, tracing })
  const webhooks = createEnqueuer({ queueing, metrics, log, tracing }, webhookWork)
  const outbound = createOutbound({ allowPrivate: config.webhookAllowPrivate })
  const testIntervals = config.webhookRetryIntervalsTest
  const deliveryLoop = createDeliveryLoop({ db, outbound, metrics, log, testIntervals })
  const handlers = createHandlers({
    db,
    metrics,
    log,
    tracing,
    webhooks,
    owner: createExternalPaymentsOwner(db, config.externalPaymentsMerchant),
    bank: createSimulatedBank(config),
    deliveryLoop,
  })
  const dispatcher = createDispatcher({ db, queueing, metrics, log }, allWork)
  const operations = buildOperations({ db, queueing, metrics, work: [...allWork, webhookWork], log })

  const url = await operations.listen({ host: config.host, port: config.workerMetricsPort })
  const heartbeat = await startHeartbeat({ db, log })
  const housekeeping = startHousekeeping({ db, log }, allCleanupTasks(retentionDays))
  gracefulShutdown(log, async () => {
    housekeeping.stop()
    await dispatcher.stop()
    await Promise.all([queueing.close(), deliveryLoop.stop()])
    await outbound.close()
    await heartbeat.stop()
    await operations.close()
    await db.close()
    await tracing?.stop()
  })

  consumeJobs(queueing, handlers, config.workerConcurrency)
  deliveryLoop.start()
  dispatcher.start(config.dispatchIntervalMs)
  log.info({ queue: redisUrl === undefined ? 'postgresql' : 'redis' }, 'the worker processes jobs')
  reportReady({ url })
}
