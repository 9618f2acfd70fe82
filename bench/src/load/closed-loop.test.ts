// Tests the closed loop's counts against those of a server.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { newRun } from '../ids.ts'
import { type TransactionBody, transactionId } from '../transactions.ts'
import { closedLoop } from './closed-loop.ts'

test('each request counts as acknowledged, refused or lost', async () => {
  const received: TransactionBody[] = []
  const acknowledged: string[] = []
  const server = createServer(async (request, response) => {
    const body: TransactionBody = JSON.parse((await request.toArray()).join(''))
    const turn = received.push(body)
    if (turn % 10 === 9) return void request.socket.destroy()
    const status = turn % 7 === 0 ? 503 : 202
    if (status === 202) acknowledged.push(body.transaction_id)
    response.writeHead(status).end(JSON.stringify({ transaction_id: body.transaction_id }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/some/path`

  const run = newRun()
  const load = await closedLoop({ url, run, connections: 4 }, { durationMs: 400, bodies: 'transactions' })
  server.closeAllConnections()
  server.close()

  const unacknowledged = new Set(load.unacknowledged)
  const ledger = Array.from({ length: load.sent }, (_, n) => n).filter((n) => !unacknowledged.has(n))
  const ids = new Set(acknowledged)
  expect(ids.size).toBe(acknowledged.length)
  expect(load.acknowledged).toBeGreaterThan(20)
  expect(ledger).toHaveLength(load.acknowledged)
  expect(ledger.filter((n) => !ids.has(transactionId(run, n)))).toEqual([])
  // The server accepted up to four more: autocannon does not wait for requests in flight at its end.
  expect(acknowledged.length - load.acknowledged).toBeLessThanOrEqual(4)
  expect(load.otherStatuses).toEqual({ 503: expect.any(Number) })
  expect(load.lost).toBeGreaterThan(0)
  expect(new Set(received.map(({ source_account }) => source_account)).size).toBeGreaterThan(1)
  expect(load.latencyMs.count).toBe(load.acknowledged + load.otherStatuses['503']!)
})
