// The API's table of contents: every plugin and route, in order.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  Config,
  Database,
  Logger,
  Metrics,
  PaymentEventRecorder,
  Queueing,
  Tracing,
  TransactionRecorder,
} from '@sluice/core'
import { requestIds } from '@sluice/core'
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { parseJsonBodies } from './body-parser.ts'
import { describeApi } from './openapi.ts'
import { answerErrors, answerFrameworkErrors, answerParserErrors, refuseExpectation } from './problems.ts'
import { observeRequests } from './request-metrics.ts'
import { conflictRoutes } from './routes/conflicts.ts'
import { operationRoutes } from './routes/operations.ts'
import { paymentEventRoutes } from './routes/payment-events.ts'
import { transactionRoutes } from './routes/transactions.ts'
import { validateByContract } from './validation.ts'

/** Built once in main.ts and handed to every route. */
export interface ApiDeps {
  config: Config
  db: Database
  queueing: Queueing
  transactions: TransactionRecorder
  paymentEvents: PaymentEventRecorder
  metrics: Metrics
  log: Logger
  tracing?: Tracing | undefined
}

export type App = FastifyInstance<
  import('node:http').Server,
  import('node:http').IncomingMessage,
  import('node:http').ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

const BODY_BYTES_MAX = 1024 * 1024
/** For a whole request to arrive; Fastify's default is for ever. */
const REQUEST_TIMEOUT_MS = 30_000
/** An id of 100 characters of four bytes, percent-encoded, is 1,200 characters in a path. */
const PARAM_CHARACTERS_MAX = 1200

export async function buildApp(deps: ApiDeps): Promise<App> {
  const app = Fastify({
    // Fastify's own logging would make a logger and two listeners for each request; what is logged is logged by hand.
    logger: false,
    // Node would answer requests without Host by itself, with an empty body.
    http: { requireHostHeader: false },
    genReqId: requestIds(),
    requestIdHeader: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: PARAM_CHARACTERS_MAX },
    // While stopping, requests on connections that are open already are answered, then those close.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    frameworkErrors: answerFrameworkErrors(deps.log),
    clientErrorHandler: answerParserErrors,
  }).withTypeProvider<TypeBoxTypeProvider>()

  if (deps.tracing !== undefined) await (await import('./trace-requests.ts')).traceRequests(app)
  app.server.on('checkExpectation', refuseExpectation)
  validateByContract(app)
  parseJsonBodies(app)
  answerErrors(app, deps.log)
  observeRequests(app, deps)
  await describeApi(app, deps)

  app.register(operationRoutes, deps)
  app.register(transactionRoutes, deps)
  app.register(paymentEventRoutes, deps)
  app.register(conflictRoutes, deps)
  return app
}
