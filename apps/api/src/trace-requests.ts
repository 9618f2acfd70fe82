// A span for each request, with its id; imported only if tracing is on.
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { getApiHealth, getHealth, getLive, getRoot } from '@sluice/contracts'
import { REQUEST_ID_ATTRIBUTE } from '@sluice/core'
import type { App } from './deps.ts'

/** Probes and scrapers request these every few seconds. */
const UNTRACED = new Set<string | undefined>(
  [getRoot, getLive, getHealth, getApiHealth].map(({ url }) => url),
)
UNTRACED.add('/metrics')

/** Must be registered before the routes, because it wraps them. */
export async function traceRequests(app: App): Promise<void> {
  const instrumentation = new FastifyOtelInstrumentation({
    ignorePaths: ({ url }) => UNTRACED.has(url.split('?')[0]),
    // A span for each hook of each request would cost more than it is worth.
    instrumentHooks: false,
    // The log has errors under the same request id. A span has their status and message, which quotes no input.
    recordExceptions: false,
    requestHook(span, request) {
      span.setAttribute(REQUEST_ID_ATTRIBUTE, request.id)
      const route = request.routeOptions.url
      // Paths and queries are input and may contain card numbers; the route's own path does not.
      span.setAttribute('url.path', route ?? 'unknown')
      span.updateName(route === undefined ? request.method : `${request.method} ${route}`)
    },
  })
  await app.register(instrumentation.plugin())
}
