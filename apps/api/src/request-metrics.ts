// Observes each request's duration, and logs each request at LOG_LEVEL=debug.
import type { ApiDeps, App } from './deps.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** When the request arrived, by performance.now(). */
    receivedAtMs: number
  }
}

/** Uses onRequest and onSend: for onResponse, Fastify adds listeners to each response, which costs more than all this. */
export function observeRequests(app: App, { metrics, log }: ApiDeps): void {
  const { httpDuration } = metrics
  const logsRequests = log.isLevelEnabled('debug')

  app.decorateRequest('receivedAtMs', 0)
  app.addHook('onRequest', (request, _reply, done) => {
    request.receivedAtMs = performance.now()
    done()
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    const durationMs = performance.now() - request.receivedAtMs
    const route = request.routeOptions.url ?? 'unknown'
    httpDuration.observe(request.method, route, reply.statusCode, durationMs / 1000)
    if (logsRequests) {
      const { id: requestId, method } = request
      log.debug({ requestId, method, route, status: reply.statusCode, durationMs }, 'request')
    }
    done(null, payload)
  })
}
