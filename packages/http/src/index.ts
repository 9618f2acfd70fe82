// What every HTTP listener of Sluice shares: one error shape, a graceful end, and the routes of operation.
export { addOperationRoutes } from './operation-routes.ts'
export { noRoute, refuseUnknownRoutes } from './problems.ts'
export { createHttpServer } from './server.ts'
