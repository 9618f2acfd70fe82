// The worker's HTTP server: health, liveness and metrics, and no other routes.
import {
  checkHealth,
  type Database,
  gaugeWork,
  type Logger,
  type Metrics,
  type Queueing,
  type WorkTable,
} from '@sluice/core'
import { addOperationRoutes, createHttpServer, refuseUnknownRoutes } from '@sluice/http'
import type { FastifyInstance } from 'fastify'

interface OperationsDeps {
  db: Database
  queueing: Queueing
  metrics: Metrics
  work: readonly WorkTable[]
  log: Logger
}

export function buildOperations({ db, queueing, metrics, work, log }: OperationsDeps): FastifyInstance {
  const app = createHttpServer({ log })
  refuseUnknownRoutes(app)
  addOperationRoutes(app, {
    checkHealth: () => checkHealth({ db, queueing }),
    metrics,
    setGauges: () => gaugeWork({ db, queueing, metrics }, work),
  })
  return app
}
