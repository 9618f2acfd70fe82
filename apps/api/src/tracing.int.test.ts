// Traces: a request and its job are one trace, without card data.
import {
  hasRedis,
  openShop,
  paymentEventBody,
  queueBackends,
  seededKeys,
  type TestSystem,
  untilKnown,
  waitFor,
} from '@sluice/testing'
import { describe, expect, test } from 'vitest'
import {
  type AtEnd,
  postEventOnce,
  postTransactionUntilKnown,
  startCollectorServer,
  startTracedSystem,
} from './tracing.fixture.ts'

describe.for(queueBackends)('on $backend', ({ backend, available }) => {
  test.skipIf(!available)(
    'a request and its job are one trace with the request’s id; probes are not traced',
    async ({ onTestFinished }) => {
      const collector = await startCollector(onTestFinished)
      const system = await startTracedSystem(onTestFinished, collector.url, backend)
      await untilItEnqueues(system)
      for (const path of ['/', '/live', '/health?verbose', '/metrics'])
        await fetch(`${system.api.url}${path}`)
      expect((await postTransactionUntilKnown(system, 'txn_traced')).status).toBe(202)

      const requestId = await requestIdOf(system, 'txn_traced')
      const posted = await collector.span('POST /v1/webhooks/transactions', requestId)
      expect(posted).toMatchObject({
        service: 'sluice-api',
        attributes: { 'http.response.status_code': 202 },
      })
      const processed = await collector.span('process transactions', requestId)
      expect(processed).toMatchObject({ service: 'sluice-worker', traceId: posted.traceId })
      expect([...new Set(collector.received.map(({ name }) => name))].sort()).toEqual([
        'POST /v1/webhooks/transactions',
        'addBulk transactions',
        'complete transactions',
        'handler - handler',
        'process transactions',
      ])
    },
  )
})

// On Redis, since with the queue on PostgreSQL the API leaves rows soon after an enqueue to the dispatcher.
test.skipIf(!hasRedis)(
  'requests that share a commit have separate traces, and pending spans are sent at shutdown',
  async ({ onTestFinished }) => {
    const collector = await startCollector(onTestFinished)
    const system = await startTracedSystem(onTestFinished, collector.url, 'redis')
    await untilItEnqueues(system)
    const ids = Array.from({ length: 8 }, (_, i) => `txn_${i}`)
    await Promise.all(ids.map((id) => postTransactionUntilKnown(system, id)))
    const traceIds = new Set<string>()
    for (const id of ids) {
      const requestId = await requestIdOf(system, id)
      const { traceId } = await collector.span('POST /v1/webhooks/transactions', requestId)
      expect((await collector.span('process transactions', requestId)).traceId).toBe(traceId)
      traceIds.add(traceId)
    }
    expect(traceIds.size).toBe(8)

    const event = await untilKnown(() =>
      postEventOnce(system, '/webhooks/payment', paymentEventBody('evt_traced', 'pay_traced')),
    )
    expect(event.status).toBe(202)
    const [row] = await system.database.query<{ request_id: string }>('SELECT request_id FROM payment_events')
    const { traceId } = await collector.span('POST /webhooks/payment', row!.request_id)
    expect((await collector.span('process payment-events', row!.request_id)).traceId).toBe(traceId)

    await postTransactionUntilKnown(system, 'txn_last')
    const requestId = await requestIdOf(system, 'txn_last')
    expect(await system.api.stop()).toEqual({ code: 0, signal: null })
    expect(collector.find('POST /v1/webhooks/transactions', requestId)).toBeDefined()
  },
)

test('a payment and its job are one trace, and no trace contains a card number or CVV', async ({
  onTestFinished,
}) => {
  const collector = await startCollector(onTestFinished)
  const system = await startTracedSystem(onTestFinished, collector.url)
  const shop = openShop(system.call)
  const { id } = await shop.paid()
  const [row] = await system.database.query<{ request_id: string }>('SELECT request_id FROM payments')
  const { traceId } = await collector.span('POST /api/v1/payments', row!.request_id)
  expect((await collector.span('process payments', row!.request_id)).traceId).toBe(traceId)

  // Longer than a CVV, since the hex of a trace id often contains four given digits.
  const [number, cvv] = ['4242424242424242', '091783091783']
  const send = (path: string, body?: string) =>
    fetch(`${system.api.url}/api/v1/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { ...seededKeys, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body }),
    })
  const responses = await Promise.all([
    send(`payments?search=${number}`),
    send(`payments/${number}`),
    send(`${number}/elsewhere`),
    send('payments', `{"card":{"number":'${number}'}}`),
    send('payments', `{"card":{"cvv":'${cvv}'}}`),
    send('payments', JSON.stringify({ order_id: id, method: 'card', card: { number: Number(number), cvv } })),
  ])
  expect(responses.map(({ status }) => status)).toEqual([200, 404, 404, 400, 400, 400])
  expect(await system.api.stop()).toEqual({ code: 0, signal: null }) // pending spans are sent at shutdown
  expect(collector.texts.join()).toContain('GET /api/v1/payments')
  // No part of the number may be in a trace.
  expect(collector.texts.join()).not.toContain(number.slice(0, 8))
  expect(collector.texts.join()).not.toContain(cvv)
})

/** Events before the queue is connected are enqueued by the dispatcher, without a request id. */
async function untilItEnqueues(system: TestSystem): Promise<void> {
  let count = 0
  await waitFor('the API to enqueue', async () => {
    await postTransactionUntilKnown(system, `txn_before_${++count}`)
    const metrics = await (await fetch(`${system.api.url}/metrics`)).text()
    return /sluice_enqueued_total\{kind="transaction",outcome="ok"\} [1-9]/.test(metrics)
  })
  // The API adds small batches to the PostgreSQL queue every 50 ms only, so an immediate next event is not enqueued.
  await new Promise((resolve) => setTimeout(resolve, 60))
}

async function requestIdOf(system: TestSystem, transactionId: string): Promise<string> {
  const [row] = await system.database.query<{ request_id: string }>(
    'SELECT request_id FROM transactions WHERE transaction_id = $1',
    [transactionId],
  )
  return row!.request_id
}

interface ReceivedSpan {
  service: unknown
  name: string
  traceId: string
  attributes: Record<string, unknown>
}

/** Accepts OTLP/HTTP with JSON, and keeps the spans and the raw texts. */
async function startCollector(atEnd: AtEnd) {
  const received: ReceivedSpan[] = []
  const texts: string[] = []
  const url = await startCollectorServer(atEnd, async (request, response) => {
    if (request.url !== '/v1/traces') return response.writeHead(404).end()
    const chunks = await request.toArray()
    const text = Buffer.concat(chunks).toString()
    texts.push(text)
    received.push(...spansOf(JSON.parse(text)))
    return response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  const find = (name: string, requestId: string) =>
    received.find((span) => span.name === name && span.attributes['sluice.request_id'] === requestId)
  return {
    url,
    received,
    texts,
    find,
    span: (name: string, requestId: string) =>
      waitFor(`the span "${name}" of ${requestId}`, () => find(name, requestId)),
  }
}

interface Otlp {
  resourceSpans: Array<{
    resource: { attributes: OtlpAttributes }
    scopeSpans: Array<{ spans: Array<{ name: string; traceId: string; attributes: OtlpAttributes }> }>
  }>
}
type OtlpAttributes = Array<{ key: string; value: Record<string, unknown> }>

function spansOf({ resourceSpans }: Otlp): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = flat(resource.attributes)['service.name']
    return scopeSpans.flatMap(({ spans }) =>
      spans.map(({ name, traceId, attributes }) => ({
        service,
        name,
        traceId,
        attributes: flat(attributes),
      })),
    )
  })
}

/** `[{ key, value: { stringValue } }]` as an object. */
const flat = (attributes: OtlpAttributes) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
