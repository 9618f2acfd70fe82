// What every HTTP listener of ours has alike: errors in one shape, and an end that waits for requests but for nobody idle.
export { noRoute, refuseUnknownRoutes } from './problems.ts'
export { createHttpServer } from './server.ts'
