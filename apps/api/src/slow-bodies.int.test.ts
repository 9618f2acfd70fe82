// Clients with slow connections: the time limit of a response begins with the last byte of the body.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { setTimeout } from 'node:timers/promises'
import {
  openShop,
  paymentEventBody,
  seededKeys,
  type TestSystem,
  transactionBody,
  untilKnown,
} from '@sluice/testing'
import { test } from '@sluice/testing/fixtures'
import { expect } from 'vitest'

/** Longer than the time limit of a request that cannot be stored. */
const SENDING_MS = 1200

let system: TestSystem
test.beforeAll(({ system: shared }) => {
  system = shared
})

async function sendSlowly(path: string, body: object, headers: Record<string, string>) {
  const text = JSON.stringify(body)
  const request = http.request(system.api.url + path, {
    method: 'POST',
    agent: false,
    headers: { 'content-type': 'application/json', 'content-length': text.length, ...headers },
  })
  const responded = once(request, 'response') as Promise<[http.IncomingMessage]>
  request.write(text.slice(0, -1))
  await setTimeout(SENDING_MS)
  request.end(text.slice(-1))
  const [response] = await responded
  return { status: response.statusCode, text: Buffer.concat(await response.toArray()).toString() }
}

test('every route that writes accepts a body that takes longer than a second to arrive', async () => {
  const shop = openShop(system.call)
  const [order, publicOrder, captured, refunded] = await Promise.all([
    shop.order(),
    shop.order(),
    shop.paid(),
    shop.paid(),
  ])
  const payment = { method: 'upi', vpa: 'success@test' }
  const requests: [path: string, body: object, status: number][] = [
    ['/api/v1/orders', { amount: 500 }, 201],
    ['/api/v1/payments', { ...payment, order_id: order.id }, 201],
    ['/api/v1/payments/public', { ...payment, order_id: publicOrder.id }, 201],
    [`/api/v1/payments/${captured.id}/capture`, { amount: captured.amount }, 200],
    [`/api/v1/payments/${refunded.id}/refunds`, { amount: 1 }, 201],
    ['/v1/webhooks/transactions', transactionBody('txn_slow'), 202],
    ['/webhooks/payment', paymentEventBody('evt_slow', 'pay_slow'), 202],
  ]
  const responses = await Promise.all(
    requests.map(async ([path, body]) => {
      const headers = { ...seededKeys, 'idempotency-key': randomUUID() }
      return { path, ...(await untilKnown(() => sendSlowly(path, body, headers))) }
    }),
  )
  expect(responses).toMatchObject(requests.map(([path, , status]) => ({ path, status })))
})
