// The root route, and the routes of operation as the contracts describe them.
import { getApiHealth, getHealth, getLive, getRoot, type RouteContract, routeSchema } from '@sluice/contracts'
import { checkHealth } from '@sluice/core'
import { addOperationRoutes } from '@sluice/http'
import type { ApiDeps, App } from '../deps.ts'

export async function operationRoutes(app: App, deps: ApiDeps): Promise<void> {
  app.route({
    ...getRoot,
    schema: routeSchema(getRoot),
    handler: async () => ({ status: 'HEALTHY' as const, current_time: new Date().toISOString() }),
  })

  addOperationRoutes(
    app,
    { checkHealth: () => checkHealth(deps), metrics: deps.metrics },
    {
      live: described(getLive),
      health: [getHealth, getApiHealth].map(described),
      metrics: { url: '/metrics', schema: { hide: true } },
    },
  )
}

const described = (contract: RouteContract) => ({ url: contract.url, schema: routeSchema(contract) })
