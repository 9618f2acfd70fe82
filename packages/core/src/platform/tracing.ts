// Optional traces by OpenTelemetry: without an endpoint none of its code is loaded.
import type { Telemetry } from 'bullmq'
import type { Logger } from './logger.ts'

export interface Tracing {
  /** Makes spans of what BullMQ's queues and workers do. */
  telemetry: Telemetry
  /** The trace context of the running request or job, as text that a job can carry. */
  current: () => string
  /** Runs `work` within the trace that `current` returned; without a trace when it is undefined. */
  within: <T>(trace: string | undefined, work: () => T) => T
  /** Puts a request's id on the running span, so that traces and logs can be joined. */
  nameRequest: (requestId: string) => void
  /** Sends the remaining spans, for at most 1.5 s. */
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
