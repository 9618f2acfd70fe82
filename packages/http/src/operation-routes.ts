// The routes of operation that every process has: liveness, readiness and metrics.
import type { Metrics } from '@sluice/core/platform'
import type { FastifyInstance, FastifySchema } from 'fastify'

export interface OperationChecks {
  /** Reads what `/health` returns; `unhealthy` makes it a 503. */
  checkHealth: () => Promise<{ status: 'healthy' | 'degraded' | 'unhealthy' }>
  metrics: Pick<Metrics, 'registry'>
  /** Sets the gauges that are read at each scrape. */
  setGauges?: () => Promise<void>
}

/** A URL, with the schema of its responses where a contract has one. */
interface Described {
  url: string
  schema?: FastifySchema
}

export interface OperationUrls {
  live: Described
  /** Every URL of readiness. */
  health: readonly Described[]
  metrics: Described
}

const PLAIN: OperationUrls = {
  live: { url: '/live' },
  health: [{ url: '/health' }],
  metrics: { url: '/metrics' },
}

export function addOperationRoutes(
  app: FastifyInstance,
  { checkHealth, metrics, setGauges }: OperationChecks,
  urls: OperationUrls = PLAIN,
): void {
  app.route({ method: 'GET', ...urls.live, handler: async () => ({ status: 'live' }) })

  for (const described of urls.health) {
    app.route({
      method: 'GET',
      ...described,
      async handler(_request, reply) {
        const health = await checkHealth()
        return reply.status(health.status === 'unhealthy' ? 503 : 200).send(health)
      },
    })
  }

  app.route({
    method: 'GET',
    ...urls.metrics,
    async handler(_request, reply) {
      await setGauges?.()
      reply.type(metrics.registry.contentType)
      return metrics.registry.metrics()
    },
  })
}
