// Health, liveness and metrics.
import { getApiHealth, getHealth, getLive, getRoot, routeSchema } from '@sluice/contracts'
import { checkHealth } from '@sluice/core'
import type { ApiDeps, App } from '../app.ts'

export async function operationRoutes(app: App, deps: ApiDeps): Promise<void> {
  app.route({
    ...getRoot,
    schema: routeSchema(getRoot),
    handler: async () => ({ status: 'HEALTHY' as const, current_time: new Date().toISOString() }),
  })

  app.route({
    ...getLive,
    schema: routeSchema(getLive),
    handler: async () => ({ status: 'live' as const }),
  })

  for (const contract of [getHealth, getApiHealth]) {
    app.route({
      ...contract,
      schema: routeSchema(contract),
      async handler(_request, reply) {
        const health = await checkHealth(deps)
        return reply.status(health.status === 'unhealthy' ? 503 : 200).send(health)
      },
    })
  }

  app.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    reply.type(deps.metrics.registry.contentType)
    return deps.metrics.registry.metrics()
  })
}
