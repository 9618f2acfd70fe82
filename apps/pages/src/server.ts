// The page server's table of contents: what is asked first, and which paths are reserved.
//
//   /_api/…                     the API, on the pages' own origin
//   /live, /health, /metrics    this server's own operation
//   everything else             the app's files and, for navigations, its index.html: no page may have one of these paths
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
    // A stream of events lasts as long as its page: its time says nothing.
    if (`${reply.raw.getHeader('content-type')}`.startsWith('text/event-stream')) return
    const route = request.routeOptions.url ?? 'page'
    deps.metrics.httpDuration.observe(request.method, route, reply.raw.statusCode, reply.elapsedTime / 1000)
  })

  addOperationRoutes(app, { checkHealth: () => checkPagesHealth(deps.config), metrics: deps.metrics })
  app.register(proxyRoutes, deps)
  await pageRoutes(app, deps)
  return app
}
