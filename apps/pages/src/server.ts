// The page server's table of contents: what is asked first, and which paths are reserved.
//
//   /_api/…                     the API, on the pages' own origin
//   /live, /health, /metrics    this server's own operation
//   everything else             the app's files and, for navigations, its index.html: no page may have one of these paths
import type { Socket } from 'node:net'
import type { Config, Logger, Metrics } from '@sluice/core'
import Fastify, { type FastifyInstance } from 'fastify'
import { operationRoutes } from './operations.ts'
import { pageRoutes } from './pages.ts'
import { answerErrors, answerFrameworkErrors, answerParserErrors, refuseExpectation } from './problems.ts'
import { proxyRoutes } from './proxy.ts'
import { securityHeaders } from './security-headers.ts'

export interface ServerDeps {
  /** Of the app's built files, with an index.html. */
  folder: string
  frameAncestors: string
  config: Pick<Config, 'apiUrl' | 'publicApiUrl' | 'trustProxy'>
  metrics: Metrics
  log: Logger
  /** How long the API may be silent before its answer begins; tests have less time. */
  answerTimeoutMs?: number
}

/** For a whole request to arrive, as in the API. */
const REQUEST_TIMEOUT_MS = 30_000

/** @throws MissingPagesError when the app has not been built */
export async function buildServer(deps: ServerDeps): Promise<FastifyInstance> {
  const { trustProxy } = deps.config
  const app: FastifyInstance = Fastify({
    logger: false,
    trustProxy: trustProxy.length > 0 ? [...trustProxy] : false,
    // Node would answer requests without Host by itself, with an empty body.
    http: { requireHostHeader: false },
    requestTimeout: REQUEST_TIMEOUT_MS,
    // While stopping, requests on connections that are open already are answered, then those close.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    frameworkErrors: answerFrameworkErrors(deps.log),
    clientErrorHandler: answerParserErrors,
  })
  app.server.on('checkExpectation', refuseExpectation)
  answerErrors(app, deps.log)

  const headers = securityHeaders(deps.frameAncestors)
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(headers)
  })
  app.addHook('onResponse', async (request, reply) => {
    // A stream of events lasts as long as its page: its time says nothing.
    if (`${reply.raw.getHeader('content-type')}`.startsWith('text/event-stream')) return
    const route = request.routeOptions.url ?? 'page'
    const labels = { method: request.method, route, status: String(reply.statusCode) }
    deps.metrics.httpDuration.observerOf(labels)(reply.elapsedTime / 1000)
  })
  closeIdleConnections(app)

  app.register(operationRoutes, deps)
  app.register(proxyRoutes, deps)
  await pageRoutes(app, deps)
  return app
}

/** Node's server.close() waits for every connection but idle ones, and knows fewer of those than there are. */
function closeIdleConnections(app: FastifyInstance): void {
  // Browsers open connections ahead of need.
  const unused = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    unused.add(socket)
    socket.once('close', () => unused.delete(socket))
  })
  app.server.on('request', ({ socket }) => unused.delete(socket))

  let timer: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    for (const socket of unused) socket.destroy()
    // Connections whose last request was in flight when the closing began are idle only after its answer.
    timer = setInterval(() => app.server.closeIdleConnections(), 100)
  })
  app.addHook('onClose', async () => clearInterval(timer))
}
