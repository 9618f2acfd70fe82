// The API's table of contents: every plugin and route, in order.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { createHttpServer, refuseUnknownRoutes } from '@sluice/http'
import { authenticateCallers } from './access.ts'
import { parseJsonBodies } from './body-parser.ts'
import type { ApiDeps, App } from './deps.ts'
import { describeApi } from './openapi.ts'
import { limitRates } from './rate-limits.ts'
import { observeRequests } from './request-metrics.ts'
import { conflictRoutes } from './routes/conflicts.ts'
import { merchantRoutes } from './routes/merchants.ts'
import { operationRoutes } from './routes/operations.ts'
import { orderRoutes } from './routes/orders.ts'
import { paymentEventRoutes } from './routes/payment-events.ts'
import { paymentRoutes } from './routes/payments.ts'
import { refundRoutes } from './routes/refunds.ts'
import { sandboxRoutes } from './routes/sandbox.ts'
import { transactionRoutes } from './routes/transactions.ts'
import { webhookRoutes } from './routes/webhooks.ts'
import { validateByContract } from './validation.ts'

const BODY_BYTES_MAX = 1024 * 1024
/** An id of 100 characters of four bytes, percent-encoded, is 1,200 characters in a path. */
const PARAM_CHARACTERS_MAX = 1200

export async function buildApp(deps: ApiDeps): Promise<App> {
  const app = createHttpServer({
    log: deps.log,
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PARAM_CHARACTERS_MAX },
  }).withTypeProvider<TypeBoxTypeProvider>()

  if (deps.tracing !== undefined) await (await import('./trace-requests.ts')).traceRequests(app)
  refuseUnknownRoutes(app)
  validateByContract(app)
  parseJsonBodies(app)
  observeRequests(app, deps)
  await authenticateCallers(app)
  await limitRates(app, deps)
  await describeApi(app, deps)

  app.register(operationRoutes, deps)
  app.register(transactionRoutes, deps)
  app.register(paymentEventRoutes, deps)
  app.register(conflictRoutes, deps)
  app.register(merchantRoutes, deps)
  app.register(orderRoutes, deps)
  app.register(paymentRoutes, deps)
  app.register(refundRoutes, deps)
  app.register(webhookRoutes, deps)
  if (deps.config.sandbox) app.register(sandboxRoutes, deps)
  return app
}
