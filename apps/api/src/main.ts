// The API process: HTTP in, one core verb, HTTP out.
import {
  createEnqueuer,
  createExternalPaymentsOwner,
  createLogger,
  createMetrics,
  createOutbound,
  createPaymentEventRecorder,
  createTransactionRecorder,
  gracefulShutdown,
  isLoopback,
  localAddress,
  openDatabase,
  openQueueing,
  openTracing,
  paymentWork,
  readServiceConfig,
  refundWork,
  reportReady,
  runService,
  webhookWork,
} from '@sluice/core'
import { buildApp } from './app.ts'

await runService('PORT', main)

async function main(): Promise<void> {
  const config = readServiceConfig(process.env)
  const log = createLogger(config, 'api')
  const metrics = createMetrics()
  const { databaseUrl, redisUrl, transactionProcessingDelayMs: processingDelayMs } = config
  const db = openDatabase({ url: databaseUrl, applicationName: 'sluice-api', log })
  const tracing = await openTracing({ endpoint: config.otelEndpoint, serviceName: 'sluice-api', log })
  const queueing = openQueueing({ databaseUrl, redisUrl, log, tracing })
  const deps = { db, queueing, metrics, log, tracing }
  const transactions = createTransactionRecorder({ ...deps, processingDelayMs })
  const paymentEvents = createPaymentEventRecorder(deps)
  const paymentJobs = createEnqueuer(deps, paymentWork)
  const refundJobs = createEnqueuer(deps, refundWork)
  const webhookJobs = createEnqueuer(deps, webhookWork)
  const externalPaymentsOwner = createExternalPaymentsOwner(db, config.externalPaymentsMerchant)
  const outbound = createOutbound({ allowPrivate: config.webhookAllowPrivate })
  const enqueuers = { paymentJobs, refundJobs, webhookJobs }
  const recorders = { transactions, paymentEvents }
  const app = await buildApp({ ...deps, config, ...recorders, externalPaymentsOwner, ...enqueuers, outbound })

  if (config.sandbox && !isLoopback(config.host)) {
    log.warn(
      { host: config.host },
      'SANDBOX is on and HOST is not loopback: every host that reaches this port may use it',
    )
  }
  gracefulShutdown(log, async () => {
    await app.close()
    await transactions.drain()
    await paymentEvents.drain()
    await paymentJobs.drain()
    await refundJobs.drain()
    await webhookJobs.drain()
    await outbound.close()
    await queueing.close()
    await db.close()
    await tracing?.stop()
  })

  await db.warmUp()
  await app.listen({ host: config.host, port: config.port })
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : config.port
  const url = localAddress(config.host, port)
  log.info({ url }, 'the API serves')
  reportReady({ url })
}
