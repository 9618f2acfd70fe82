// The worker process: queue in, one core verb. Any number of them may run.
import {
  allCleanupTasks,
  allWork,
  createCompleter,
  createDeliveryLoop,
  createDispatcher,
  createEnqueuer,
  createLogger,
  createMetrics,
  createOutbound,
  createPaymentHandler,
  createRefundHandler,
  createSimulatedBank,
  gracefulShutdown,
  openDatabase,
  openQueueing,
  openTracing,
  paymentEventWork,
  publishChanged,
  publishProcessed,
  readServiceConfig,
  reportReady,
  runService,
  startHeartbeat,
  startHousekeeping,
  transactionWork,
  webhookWork,
} from '@sluice/core'
import { handleJobs } from './handlers.ts'
import { buildOperations } from './operations.ts'

await runService('WORKER_METRICS_PORT', main)

async function main(): Promise<void> {
  const config = readServiceConfig(process.env)
  const log = createLogger(config, 'worker')
  const metrics = createMetrics()
  const { databaseUrl, redisUrl, retentionDays } = config
  // Work that is under way may wait for a slow database longer than a request may.
  const db = openDatabase({
    url: databaseUrl,
    applicationName: 'sluice-worker',
    log,
    statementTimeoutMs: 5000,
  })
  const tracing = await openTracing({ endpoint: config.otelEndpoint, serviceName: 'sluice-worker', log })
  const queueing = openQueueing({ databaseUrl, redisUrl, log, tracing })
  const completing = { db, metrics, log, tracing }
  const webhooks = createEnqueuer({ queueing, metrics, log, tracing }, webhookWork)
  const transactions = createCompleter(completing, transactionWork, publishProcessed(webhooks))
  const tellsOf = publishChanged(webhooks, config.externalPaymentsMerchant)
  const paymentEvents = createCompleter(completing, paymentEventWork, tellsOf)
  const processing = { ...completing, webhooks, bank: createSimulatedBank(config) }
  const processPayment = createPaymentHandler(processing)
  const processRefund = createRefundHandler(processing)
  const outbound = createOutbound({ allowPrivate: config.webhookAllowPrivate })
  const testIntervals = config.webhookRetryIntervalsTest
  const deliveryLoop = createDeliveryLoop({ db, outbound, metrics, log, testIntervals })
  const dispatcher = createDispatcher({ db, queueing, metrics, log }, allWork)
  const operations = buildOperations({ db, queueing, metrics, work: [...allWork, webhookWork], log })

  const url = await operations.listen({ host: config.host, port: config.workerMetricsPort })
  const heartbeat = await startHeartbeat({ db, log })
  const housekeeping = startHousekeeping({ db, log }, allCleanupTasks(retentionDays))
  gracefulShutdown(log, async () => {
    housekeeping.stop()
    await dispatcher.stop()
    await Promise.all([queueing.close(), deliveryLoop.stop()])
    await transactions.drain()
    await paymentEvents.drain()
    await outbound.close()
    await heartbeat.stop()
    await operations.close()
    await db.close()
    await tracing?.stop()
  })

  const concurrency = config.workerConcurrency
  const handlers = {
    transactions,
    paymentEvents,
    processPayment,
    processRefund,
    wakeUpEndpoint: deliveryLoop.wakeUp,
  }
  handleJobs({ queueing, ...handlers, concurrency })
  deliveryLoop.start()
  dispatcher.start(config.dispatchIntervalMs)
  log.info({ queue: redisUrl === undefined ? 'postgresql' : 'redis' }, 'the worker processes')
  reportReady({ url })
}
