// The closed loop: each connection sends as soon as it has its answer. By autocannon, the generator of Fastify's own
// benchmarks, used as its documentation says, so that the bare route's figure can be held against published ones.

import type { EventEmitter } from 'node:events'
import autocannon from 'autocannon'
import { requestsOf } from './bodies.ts'
import type { ClosedArrivals, LoadResult, LoadTarget } from './plan.ts'

// Autocannon looks only this often whether its time is up; its default of a second would overrun a burst by as much.
const LOOK_EVERY_MS = 100

/** What autocannon carries from a request to its answer. */
type RequestContext = { sequence?: number }

export async function closedLoop(
  target: LoadTarget,
  { durationMs, bodies }: Omit<ClosedArrivals, 'kind'>,
): Promise<LoadResult> {
  const { acknowledgedBy, bodyOf, headersOf } = requestsOf(bodies, target.run)
  const headers = { 'content-type': 'application/json', ...target.headers }
  const unacknowledged = new Set<number>()
  let sent = 0
  let startedAt = 0
  let answered = 0
  let answeredAt = 0
  const cpuBefore = process.cpuUsage()
  let cpu = cpuBefore

  // It also is the emitter that its documentation speaks of, which its types leave out.
  const running = autocannon({
    url: target.url,
    connections: target.connections,
    duration: durationMs / 1000,
    sampleInt: LOOK_EVERY_MS,
    requests: [
      {
        method: 'POST',
        headers,
        setupRequest(request, context: RequestContext) {
          startedAt ||= performance.now()
          const sequence = sent++
          context.sequence = sequence
          unacknowledged.add(sequence)
          request.body = JSON.stringify(bodyOf(sequence))
          if (headersOf) request.headers = { ...headers, ...headersOf(sequence) }
          return request
        },
        onResponse(status, _body, context: RequestContext) {
          answered++
          answeredAt = performance.now()
          if (status === acknowledgedBy) unacknowledged.delete(context.sequence!)
        },
      },
    ],
  }) as Promise<autocannon.Result> & EventEmitter
  running.once('done', () => {
    cpu = process.cpuUsage(cpuBefore) // here, because packing its histograms comes after
  })
  const { statusCodeStats = {}, latency } = await running

  const statuses = Object.entries(statusCodeStats).map(([status, { count = 0 }]) => [status, count] as const)
  const { [acknowledgedBy]: acknowledged = 0, ...otherStatuses }: Record<string, number> =
    Object.fromEntries(statuses)
  return {
    sent,
    acknowledged,
    otherStatuses,
    // At the end each connection may have one in flight, which autocannon cuts off: neither acknowledged nor lost.
    lost: Math.max(0, sent - answered - target.connections),
    unacknowledged: [...unacknowledged],
    acknowledgedPerSecond: (acknowledged * 1000) / (answeredAt - startedAt),
    latencyMs: {
      count: statuses.reduce((sum, [, count]) => sum + count, 0),
      p50: latency.p50,
      p99: latency.p99,
      max: latency.max,
    },
    generatorCpuSeconds: (cpu.user + cpu.system) / 1e6,
  }
}
