// The API's table of contents: every plugin and route, in order.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Config, Database, Logger, Metrics, Queueing, TransactionRecorder } from '@sluice/core'
import { requestIds } from '@sluice/core'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import { parseJsonBodies } from './body-parser.ts'
import { describeApi } from './openapi.ts'
import { answerErrors, answerParserErrors, frameworkErrors } from './problems.ts'
import { observeRequests } from './request-metrics.ts'
import { conflictRoutes } from './routes/conflicts.ts'
import { operationRoutes } from './routes/operations.ts'
import { transactionRoutes } from './routes/transactions.ts'
import { validateByContract } from './validation.ts'

/** Built once in main.ts and handed to every route. */
export interface ApiDeps {
  config: Config
  db: Database
  queueing: Queueing
  recorder: TransactionRecorder
  metrics: Metrics
  log: Logger
}

export type App = FastifyInstance<
  import('node:http').Server,
  import('node:http').IncomingMessage,
  import('node:http').ServerResponse,
  Logger,
  TypeBoxTypeProvider
>

const BODY_BYTES_MAX = 1024 * 1024
/** An id of 100 characters of four bytes, percent-encoded, is 1,200 characters in a path. */
const PARAM_CHARACTERS_MAX = 1200

export async function buildApp(deps: ApiDeps): Promise<App> {
  const app = Fastify({
    loggerInstance: deps.log,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestIds(),
    requestIdHeader: false,
    // Errors are logged with their request's id by hand; a logger for each request would cost more than the rest of it.
    childLoggerFactory: (logger) => logger,
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PARAM_CHARACTERS_MAX },
    // While stopping, requests on connections that are open already are answered, then those close.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    frameworkErrors,
    clientErrorHandler: answerParserErrors,
  }).withTypeProvider<TypeBoxTypeProvider>()

  validateByContract(app)
  parseJsonBodies(app)
  answerErrors(app)
  observeRequests(app, deps)
  await describeApi(app, deps)

  app.register(operationRoutes, deps)
  app.register(transactionRoutes, deps)
  app.register(conflictRoutes, deps)
  return app
}
