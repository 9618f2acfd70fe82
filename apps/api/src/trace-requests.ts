// A span for each request, with its id; only imported when traces are asked for.
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { getApiHealth, getHealth, getLive, getRoot } from '@sluice/contracts'
import { REQUEST_ID_ATTRIBUTE } from '@sluice/core'
import type { App } from './deps.ts'

/** What probes and scrapers ask for every few seconds. */
const UNTRACED = new Set<string | undefined>(
  [getRoot, getLive, getHealth, getApiHealth].map(({ url }) => url),
)
UNTRACED.add('/metrics')

/** Must be registered before the routes, which it wraps. */
export async function traceRequests(app: App): Promise<void> {
  const instrumentation = new FastifyOtelInstrumentation({
    ignorePaths: ({ url }) => UNTRACED.has(url.split('?')[0]),
    // A span for each hook of each request would cost more than it tells.
    instrumentHooks: false,
    // Errors are in the log, under the same request id. A span has its status and message, which quotes nothing.
    recordExceptions: false,
    requestHook(span, request) {
      span.setAttribute(REQUEST_ID_ATTRIBUTE, request.id)
      const route = request.routeOptions.url
      // Paths and queries are the caller's words, which may be card numbers; the route's own path is ours.
      span.setAttribute('url.path', route ?? 'unknown')
      span.updateName(route === undefined ? request.method : `${request.method} ${route}`)
    },
  })
  await app.register(instrumentation.plugin())
}
