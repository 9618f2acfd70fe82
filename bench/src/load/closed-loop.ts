// The closed loop: each connection sends as soon as it has its response, by autocannon.
import type { EventEmitter } from 'node:events'
import autocannon from 'autocannon'
import type { Summary } from '../stats.ts'
import { requestsOf } from './bodies.ts'
import type { ClosedArrivals, LoadResult, LoadTarget } from './plan.ts'

// Autocannon checks this often whether its time is up. Its default, a second, would overrun a burst by as much.
const CHECK_EVERY_MS = 100

/** What autocannon carries from a request to its response. */
type RequestContext = { sequence?: number }

/** Fastify's own benchmarks use autocannon, so the bare route's figure compares with published ones. */
export async function closedLoop(
  target: LoadTarget,
  { durationMs, bodies }: Omit<ClosedArrivals, 'kind'>,
): Promise<LoadResult> {
  const { acknowledgedBy, bodyOf, headersOf } = requestsOf(bodies, target.run)
  const headers = { 'content-type': 'application/json', ...target.headers }
  const unacknowledged = new Set<number>()
  let sent = 0
  let startedAt = 0
  let responses = 0
  let lastResponseAt = 0
  const cpuBefore = process.cpuUsage()
  let cpu = cpuBefore

  // The result is an emitter too: autocannon documents it, and its types leave it out.
  const running = autocannon({
    url: target.url,
    connections: target.connections,
    duration: durationMs / 1000,
    sampleInt: CHECK_EVERY_MS,
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
          responses++
          lastResponseAt = performance.now()
          if (status === acknowledgedBy) unacknowledged.delete(context.sequence!)
        },
      },
    ],
  }) as Promise<autocannon.Result> & EventEmitter
  running.once('done', () => {
    cpu = process.cpuUsage(cpuBefore) // before autocannon packs its histograms
  })
  const result = await running
  const { [acknowledgedBy]: acknowledged = 0, ...otherStatuses } = statusCounts(result)
  return {
    sent,
    acknowledged,
    otherStatuses,
    // At the end autocannon cuts off one request of each connection: neither acknowledged nor lost.
    lost: Math.max(0, sent - responses - target.connections),
    unacknowledged: [...unacknowledged],
    acknowledgedPerSecond: (acknowledged * 1000) / (lastResponseAt - startedAt),
    latencyMs: latencyOf(result),
    generatorCpuSeconds: (cpu.user + cpu.system) / 1e6,
  }
}

const statusCounts = ({ statusCodeStats = {} }: autocannon.Result): Record<string, number> =>
  Object.fromEntries(Object.entries(statusCodeStats).map(([status, { count = 0 }]) => [status, count]))

function latencyOf(result: autocannon.Result): Summary {
  const { p50, p99, max } = result.latency
  return { count: Object.values(statusCounts(result)).reduce((sum, count) => sum + count, 0), p50, p99, max }
}
