// Tests the open loop's requests and counts against those of a server.
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { paymentHeaders, paymentRequest } from '../gateway-payments.ts'
import { newRun } from '../ids.ts'
import { openLoop } from './open-loop.ts'

test('the open loop posts each payment once, with its own headers, and only 201 is an acknowledgement', async () => {
  const received: { body: { order_id: string }; headers: IncomingHttpHeaders }[] = []
  const server = createServer(async (request, response) => {
    const text = (await request.toArray()).join('')
    const turn = received.push({ body: JSON.parse(text), headers: request.headers })
    response.writeHead(turn % 10 === 0 ? 202 : 201, { 'content-length': 2 }).end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/some/path`

  const run = newRun()
  const target = { url, run, connections: 4, headers: { 'x-api-key': 'key_of_a_merchant' } }
  const load = await openLoop(target, {
    kind: 'open',
    ratePerSecond: 1000,
    count: 100,
    bodies: 'gateway payments',
  })
  server.closeAllConnections()
  server.close()

  const expected = Array.from({ length: 100 }, (_, n) => ({
    body: paymentRequest(run, n),
    key: paymentHeaders(run, n)['idempotency-key'],
  }))
  const bodyOf = new Map(received.map(({ body, headers }) => [body.order_id, { body, headers }]))
  expect(received).toHaveLength(100)
  for (const { body, key } of expected) {
    const request = bodyOf.get(body.order_id)
    expect(request?.body).toEqual(body)
    expect(request?.headers['idempotency-key']).toBe(key)
    expect(request?.headers['x-api-key']).toBe('key_of_a_merchant')
  }
  expect(load).toMatchObject({ sent: 100, acknowledged: 90, otherStatuses: { 202: 10 }, lost: 0 })
})
