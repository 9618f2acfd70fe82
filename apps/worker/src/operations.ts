// The worker's own listener: liveness, readiness and metrics, nothing else.
import {
  checkHealth,
  type Database,
  gaugeWork,
  type Logger,
  type Metrics,
  type Queueing,
  type WorkTable,
} from '@sluice/core'
import { createHttpServer, refuseUnknownRoutes } from '@sluice/http'
import type { FastifyInstance } from 'fastify'

interface OperationsDeps {
  db: Database
  queueing: Queueing
  metrics: Metrics
  work: readonly WorkTable[]
  log: Logger
}

export function buildOperations({ db, queueing, metrics, work, log }: OperationsDeps): FastifyInstance {
  const app = createHttpServer({ log })
  refuseUnknownRoutes(app)
  app.get('/live', async () => ({ status: 'live' }))
  app.get('/health', async (_request, reply) => {
    const health = await checkHealth({ db, queueing })
    return reply.status(health.status === 'unhealthy' ? 503 : 200).send(health)
  })
  app.get('/metrics', async (_request, reply) => {
    await gaugeWork({ db, queueing, metrics }, work)
    reply.type(metrics.registry.contentType)
    return metrics.registry.metrics()
  })
  return app
}
