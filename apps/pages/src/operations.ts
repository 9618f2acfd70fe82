// Liveness, readiness and metrics of the page server itself.
import type { FastifyInstance } from 'fastify'
import type { ServerDeps } from './server.ts'

const HEALTH_TIMEOUT_MS = 1000

export async function operationRoutes(app: FastifyInstance, { config, metrics }: ServerDeps): Promise<void> {
  const apiLive = `${config.apiUrl.replace(/\/$/, '')}/live`

  app.get('/live', async () => ({ status: 'live' }))
  app.get('/health', async (_request, reply) => {
    const connected = await fetch(apiLive, { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) }).then(
      (answer) => answer.ok,
      () => false,
    )
    return reply.status(connected ? 200 : 503).send({
      status: connected ? 'healthy' : 'unhealthy',
      api: connected ? 'connected' : 'disconnected',
      timestamp: new Date().toISOString(),
    })
  })
  app.get('/metrics', async (_request, reply) => {
    reply.type(metrics.registry.contentType)
    return metrics.registry.metrics()
  })
}
