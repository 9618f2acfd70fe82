// A contract as route options: its schema, access and rate limit. A route adds the handler.
import { type RouteContract, type RouteSchema, routeSchema } from '@sluice/contracts'
import { accessHooks } from './access.ts'
import type { ApiDeps, App } from './deps.ts'

export const contractRoute =
  (app: App, deps: ApiDeps) =>
  <const R extends RouteContract>(contract: R) => ({
    method: contract.method as R['method'],
    url: contract.url as R['url'],
    schema: routeSchema(contract) as RouteSchema<R>,
    onRequest: [...(contract.rateLimited ? [app.limitRate] : []), ...accessHooks(deps, contract.access)],
  })

/** The page of a list, as its response repeats it. */
export const pageOf = ({ limit, offset }: { limit: number; offset: number }) => ({ limit, offset })
