// A contract as route options: its schema, who may call it, how often. What is left to say is the handler.
import { type RouteContract, type RouteSchema, routeSchema } from '@sluice/contracts'
import { accessHooks } from './access.ts'
import type { ApiDeps } from './app.ts'
import { limited } from './rate-limits.ts'

export const contractRoute =
  (deps: ApiDeps) =>
  <const R extends RouteContract>(contract: R) => ({
    method: contract.method as R['method'],
    url: contract.url as R['url'],
    schema: routeSchema(contract) as RouteSchema<R>,
    onRequest: accessHooks(deps, contract.access),
    config: contract.rateLimited ? limited : {},
  })
