// The worker's own listener: liveness, readiness and metrics, nothing else.
import {
  checkHealth,
  type Database,
  gaugeWork,
  type Metrics,
  type Queueing,
  type WorkTable,
} from '@sluice/core'
import Fastify, { type FastifyInstance } from 'fastify'

interface OperationsDeps {
  db: Database
  queueing: Queueing
  metrics: Metrics
  work: readonly WorkTable[]
}

export function buildOperations({ db, queueing, metrics, work }: OperationsDeps): FastifyInstance {
  const app = Fastify({ logger: false })
  app.setNotFoundHandler((request, reply) => {
    const description = `There is no route ${request.method} ${request.url.split('?')[0]}; this is the worker's /health, /live and /metrics`
    return reply.status(404).send({ error: { code: 'NOT_FOUND_ERROR', description } })
  })
  app.setErrorHandler((_error, _request, reply) =>
    reply
      .status(500)
      .send({ error: { code: 'INTERNAL_ERROR', description: 'Something went wrong on our side' } }),
  )
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
