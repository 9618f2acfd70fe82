// The page server's table of contents: hooks, and routes in order. No page may have one of the first two paths.
//
//   /_api/…                     the API, on the pages' own origin
//
//   /live, /health, /metrics    operation of this server
//
//   everything else             the app's files and, for navigations, its index.html
import { addOperationRoutes, createHttpServer } from '@sluice/http'
import type { FastifyInstance } from 'fastify'
import type { ServerDeps } from './deps.ts'
import { checkPagesHealth } from './health.ts'
import { pageRoutes } from './pages.ts'
import { proxyRoutes } from './proxy.ts'
import { securityHeaders } from './security-headers.ts'

/** @throws StartupError when the app has not been built */
export async function buildServer(deps: ServerDeps): Promise<FastifyInstance> {
  const { trustProxy } = deps.config
  const app = createHttpServer({
    log: deps.log,
    trustProxy: trustProxy.length > 0 ? [...trustProxy] : false,
  })

  const headers = securityHeaders(deps.frameAncestors)
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(headers)
  })
  app.addHook('onResponse', async (request, reply) => {
    // An event stream lasts as long as its page, so its duration means nothing.
    if (`${reply.raw.getHeader('content-type')}`.startsWith('text/event-stream')) return
    const route = request.routeOptions.url ?? 'page'
    deps.metrics.httpDuration.observe(request.method, route, reply.raw.statusCode, reply.elapsedTime / 1000)
  })

  addOperationRoutes(app, { checkHealth: () => checkPagesHealth(deps.config), metrics: deps.metrics })
  app.register(proxyRoutes, deps)
  await pageRoutes(app, deps)
  return app
}
