// Tracing by OpenTelemetry; imported only when a collector is configured.
import os from 'node:os'
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { type ExportResult, ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace-node'
import { TelemetryAttributes } from 'bullmq'
import { BullMQOtel } from 'bullmq-otel'
import type { Logger } from './logger.ts'
import { REQUEST_ID_ATTRIBUTE, type Tracing, type TracingOptions } from './tracing.ts'
import { withTimeout } from './with-timeout.ts'

const SEND_INTERVAL_MS = 1000
const SEND_TIMEOUT_MS = 3000
/** Spans that wait to be sent; more are dropped, so that a slow collector costs spans and not memory. */
const WAITING_SPANS_MAX = 4096
const SPANS_PER_REQUEST_MAX = 512
const STOP_TIMEOUT_MS = 1500

export function startTracing(options: TracingOptions & { endpoint: string }): Tracing {
  const { endpoint, serviceName, log } = options
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`
  const exporter = new LoggingExporter(url, log)
  const provider = new NodeTracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({
        'service.name': serviceName,
        'host.name': os.hostname(),
        'process.pid': process.pid,
      }),
    ),
    spanProcessors: [
      new WorkSpanProcessor(exporter, {
        scheduledDelayMillis: SEND_INTERVAL_MS,
        exportTimeoutMillis: SEND_TIMEOUT_MS + 1000,
        maxQueueSize: WAITING_SPANS_MAX,
        maxExportBatchSize: SPANS_PER_REQUEST_MAX,
      }),
    ],
  })
  // Only `traceparent` is accepted from callers: their `baggage` would be stored with every job.
  provider.register({ propagator: new W3CTraceContextPropagator() })
  log.info({ url: withoutPassword(url) }, 'traces are sent')

  const telemetry = new BullMQOtel({ tracerName: 'bullmq' })
  const { contextManager } = telemetry
  return {
    telemetry,
    current: () => contextManager.getMetadata(context.active()),
    within: (carried, work) =>
      context.with(
        carried === undefined ? ROOT_CONTEXT : contextManager.fromMetadata(ROOT_CONTEXT, carried),
        work,
      ),
    nameRequest: (requestId) => trace.getActiveSpan()?.setAttribute(REQUEST_ID_ATTRIBUTE, requestId),
    async stop() {
      // A shutdown does not wait for a collector that is known to be away.
      if (exporter.isAway) return
      await withTimeout(STOP_TIMEOUT_MS, provider.shutdown()).catch(() => {}) // its spans are lost either way
    },
  }
}

/** OTLP/HTTP with JSON. Logs once that the collector is away, and once that it is back, not for every batch. */
class LoggingExporter extends OTLPTraceExporter {
  isAway = false
  readonly #log: Logger

  constructor(url: string, log: Logger) {
    super({ url, timeoutMillis: SEND_TIMEOUT_MS })
    this.#log = log
  }

  override export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    super.export(spans, (result) => {
      this.#note(result)
      done(result)
    })
  }

  #note({ code, error }: ExportResult): void {
    const failed = code !== ExportResultCode.SUCCESS
    if (failed && !this.isAway)
      this.#log.warn({ err: error }, 'the collector does not accept traces; they are dropped')
    if (!failed && this.isAway) this.#log.info('the collector accepts traces again')
    this.isAway = failed
  }
}

/** BullMQ makes a span for each poll of the queue, idle ones too: far more spans than work. */
const POLLING: readonly unknown[] = [
  'getNextJob',
  'startStalledCheckTimer',
  'moveStalledJobsToWait',
  'extendLocks',
]

class WorkSpanProcessor extends BatchSpanProcessor {
  override onEnd(span: ReadableSpan): void {
    if (!POLLING.includes(span.attributes[TelemetryAttributes.QueueOperation])) super.onEnd(span)
  }
}

function withoutPassword(text: string): string {
  const url = new URL(text)
  url.username = ''
  url.password = ''
  return url.href
}
