// What main.ts builds once and every route takes, and the type of the Fastify app.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  Config,
  Database,
  Enqueuer,
  ExternalPaymentsOwner,
  Logger,
  Metrics,
  Outbound,
  PaymentEventRecorder,
  Queueing,
  Tracing,
  TransactionRecorder,
} from '@sluice/core'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'

export interface ApiDeps {
  config: Config
  db: Database
  queueing: Queueing
  transactions: TransactionRecorder
  paymentEvents: PaymentEventRecorder
  externalPaymentsOwner: ExternalPaymentsOwner
  paymentJobs: Enqueuer
  refundJobs: Enqueuer
  webhookJobs: Enqueuer
  /** Decides which addresses webhooks may go to. */
  outbound: Outbound
  metrics: Metrics
  log: Logger
  tracing?: Tracing | undefined
}

export type App = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>
