// For tests of traces: a system with a collector, and servers that replace the collector.
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { queueBackends, startSystem, type TestSystem, transactionBody, untilKnown } from '@sluice/testing'
import { inject } from 'vitest'

/** A test's own `onTestFinished`. */
export type AtEnd = (stop: () => Promise<void> | void) => void

/** A system that sends its traces to `endpoint`. */
export async function startTracedSystem(
  atEnd: AtEnd,
  endpoint: string,
  backend = queueBackends[0]!.backend,
): Promise<TestSystem> {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }
  const system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, env })
  atEnd(system.stop)
  return system
}

export const postTransactionUntilKnown = (system: TestSystem, transactionId: string) =>
  untilKnown(() => postEventOnce(system, '/v1/webhooks/transactions', transactionBody(transactionId)))
export const postEventOnce = ({ api }: TestSystem, path: string, body: object) =>
  fetch(api.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

export async function startCollectorServer(atEnd: AtEnd, listener: http.RequestListener): Promise<string> {
  const server = http.createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
