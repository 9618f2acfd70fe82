// Traces by OpenTelemetry, for those who ask for them: without an endpoint nothing of it is loaded, and nothing of it runs.
import type { Telemetry } from 'bullmq'
import type { Logger } from './logger.ts'

export interface Tracing {
  /** What BullMQ's queues and workers tell of themselves. */
  telemetry: Telemetry
  /** Where the trace of the running request or job stands, as text that a job can carry. */
  current: () => string
  /** Runs `work` as a part of the trace that `current` told of; outside of any trace when there is none. */
  within: <T>(trace: string | undefined, work: () => T) => T
  /** Puts a request's id on the running span, so that traces and logs meet. */
  nameRequest: (requestId: string) => void
  /** Sends what is left, for at most 1.5 s. */
  stop: () => Promise<void>
}

export interface TracingOptions {
  /** The collector's OTLP/HTTP address; undefined: no tracing. */
  endpoint: string | undefined
  serviceName: string
  log: Logger
}

/** The span attribute that carries the request's id. */
export const REQUEST_ID_ATTRIBUTE = 'sluice.request_id'
