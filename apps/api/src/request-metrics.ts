// One observation for each request, and a log line only where LOG_LEVEL asks for it.
import type { ApiDeps, App } from './app.ts'

export function observeRequests(app: App, { metrics, log }: ApiDeps): void {
  // Looking labels up costs more than counting, so each route's counter is kept.
  const observers = new Map<string, (seconds: number) => void>()
  const logsRequests = log.isLevelEnabled('debug')
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown'
    const key = `${request.method} ${route} ${reply.statusCode}`
    let observe = observers.get(key)
    if (observe === undefined) {
      const child = metrics.httpDuration.labels(request.method, route, String(reply.statusCode))
      observe = (seconds) => child.observe(seconds)
      observers.set(key, observe)
    }
    observe(reply.elapsedTime / 1000)
    if (logsRequests) {
      log.debug(
        {
          requestId: request.id,
          method: request.method,
          route,
          status: reply.statusCode,
          durationMs: reply.elapsedTime,
        },
        'request',
      )
    }
    done()
  })
}
