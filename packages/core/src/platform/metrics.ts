// Prometheus metrics of one process: one table for all apps.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { createDurationHistogram } from './duration-histogram.ts'

export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  return {
    registry,
    httpDuration: createDurationHistogram(
      {
        name: 'sluice_http_request_duration_seconds',
        help: 'Time from the request to its response',
        bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      },
      registry,
    ),
    ...ingestMetrics(registers),
    ...jobMetrics(registers),
    ...webhookMetrics(registers),
  }
}

function ingestMetrics(registers: Registry[]) {
  const ingestLoads = new Map<string, () => number>()
  new Gauge({
    name: 'sluice_ingest_open_rows',
    help: 'Inbound events that are not durable yet, at the time of the scrape',
    labelNames: ['kind'],
    registers,
    collect() {
      for (const [kind, load] of ingestLoads) this.set({ kind }, load())
    },
  })
  return {
    /** Registers a function that returns how many events of a kind are not durable yet. */
    observeIngestLoad: (kind: string, load: () => number) => ingestLoads.set(kind, load),
    ingestRows: new Histogram({
      name: 'sluice_ingest_batch_rows',
      help: 'Inbound events that shared one commit',
      labelNames: ['kind'],
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
      registers,
    }),
    ingestDuration: new Histogram({
      name: 'sluice_ingest_batch_duration_seconds',
      help: 'Time of one ingest commit',
      labelNames: ['kind'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers,
    }),
    ingested: new Counter({
      name: 'sluice_ingested_total',
      help: 'Inbound events that were made durable, by outcome (accepted, duplicate, conflict)',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    conflicts: new Counter({
      name: 'sluice_conflicts_total',
      help: 'Inbound events that contradict a known one, by field; kind payment: an event contradicts its payment',
      labelNames: ['kind', 'field'],
      registers,
    }),
  }
}

function jobMetrics(registers: Registry[]) {
  return {
    enqueued: new Counter({
      name: 'sluice_enqueued_total',
      help: 'Jobs enqueued right behind their commit, by outcome (ok, failed, left to the dispatcher)',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    dispatched: new Counter({
      name: 'sluice_dispatched_total',
      help: 'Jobs that the dispatcher enqueued, by cause (soon, ahead, lost)',
      labelNames: ['kind', 'cause'],
      registers,
    }),
    jobs: new Counter({
      name: 'sluice_jobs_total',
      help: 'Jobs handled, by outcome',
      labelNames: ['queue', 'outcome'],
      registers,
    }),
    queueJobs: new Gauge({
      name: 'sluice_queue_jobs',
      help: 'Jobs in the queue by state, at the time of the scrape',
      labelNames: ['queue', 'state'],
      registers,
    }),
    oldestOverdue: new Gauge({
      name: 'sluice_oldest_overdue_seconds',
      help: 'How far the oldest unprocessed row is past its due time, at the time of the scrape',
      labelNames: ['kind'],
      registers,
    }),
  }
}

function webhookMetrics(registers: Registry[]) {
  return {
    webhookAttempts: new Counter({
      name: 'sluice_webhook_attempts_total',
      help: 'Attempts to deliver webhooks, by outcome (success, refused_by_receiver, no_url, not_begun in time, or why no response came)',
      labelNames: ['outcome'],
      registers,
    }),
    webhookDuration: new Histogram({
      name: 'sluice_webhook_attempt_duration_seconds',
      help: 'Time of one attempt, from the name look-up to the response',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
    webhookAge: new Histogram({
      name: 'sluice_webhook_attempt_age_seconds',
      help: 'How far attempts were past their due time when they began',
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300],
      registers,
    }),
    webhookEndpointsAtLimit: new Gauge({
      name: 'sluice_webhook_endpoints_at_limit',
      help: 'Endpoints that have as many attempts in flight as their quota allows',
      registers,
    }),
  }
}
