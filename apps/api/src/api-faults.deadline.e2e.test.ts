// Deadlines of the API: responses while PostgreSQL is frozen, restarted or killed, and the shutdown.
import { once } from 'node:events'
import net from 'node:net'
import { getHealth, getTransaction } from '@sluice/contracts'
import {
  countCompletions,
  type Ledger,
  openShop,
  postEvents,
  queueBackends,
  seededKeys,
  seededRandom,
  startPostgres,
  startSystem,
  startSystemOn,
  type TestServer,
  type TestSystem,
  transactionBody,
  waitFor,
  watchPauses,
} from '@sluice/testing'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'

const random = seededRandom('probes of the API')

let system: TestSystem

async function expectAllProcessedOnce({ acknowledged }: Ledger): Promise<void> {
  expect(await system.settle(acknowledged)).toEqual([])
}

/** Requests got 202, or no response from a stopped API. A busy machine may cause a few 503s. */
function expectOnlyAcceptedOrBroken({ statuses, acknowledged }: Ledger): void {
  expect([...statuses.keys()].filter((status) => ![0, 202, 503].includes(status))).toEqual([])
  expect(statuses.get(503) ?? 0).toBeLessThan(Math.max(5, acknowledged.size / 50))
}

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`the API, with the queue on ${backend}`, () => {
    afterEach(() => system?.stop())

    test('unused connections do not delay the exit after SIGTERM', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend })
      const { hostname, port } = new URL(system.api.url)
      const unused = net.connect(Number(port), hostname).on('error', () => {})
      await once(unused, 'connect')
      await fetch(`${system.api.url}/live`) // the server has accepted the connection by now
      const startedAt = Date.now()
      expect(await system.api.stop()).toEqual({ code: 0, signal: null })
      expect(Date.now() - startedAt).toBeLessThan(2000)
    })

    test('an API that gets SIGTERM under load exits with 0 within 10 s, and every acknowledged event is processed once', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend })
      const stop = new AbortController()
      const load = postEvents({ url: () => system.api.url, signal: stop.signal, connections: 50 })
      await new Promise((resolve) => setTimeout(resolve, 1000))
      const startedAt = Date.now()
      expect(await system.api.stop()).toEqual({ code: 0, signal: null })
      expect(Date.now() - startedAt).toBeLessThan(10_000)
      stop.abort()
      const ledger = await load
      expectOnlyAcceptedOrBroken(ledger)
      await expectAllProcessedOnce(ledger)
    })
  })

  describe.skipIf(!available)(`PostgreSQL, with the queue on ${backend}`, () => {
    let server: TestServer
    beforeAll(async () => {
      server = await startPostgres()
      await countCompletions(server)
      system = await startSystemOn(server, { backend })
    })
    afterAll(() => system?.stop())

    /** Posts events before, during and after a fault, and sends unacknowledged events again. */
    async function underLoad(fault: () => Promise<void>): Promise<Ledger> {
      const stop = new AbortController()
      const longestPauseMs = watchPauses()
      const load = postEvents({
        url: () => system.api.url,
        signal: stop.signal,
        connections: 20,
        resend: true,
      })
      await new Promise((resolve) => setTimeout(resolve, 1000))
      await fault()
      await waitFor('the API to accept events again', async () => {
        const response = await post(`txn_probe_${random()}`)
        return response.status === 202
      })
      await new Promise((resolve) => setTimeout(resolve, 1000))
      stop.abort()
      const ledger = await load
      expect([...ledger.statuses.keys()].filter((status) => ![202, 503].includes(status))).toEqual([])
      expect(ledger.statuses.get(503)).toBeGreaterThan(0) // the fault had an effect
      expect(ledger.slowest.ms, JSON.stringify(ledger.slowest)).toBeLessThan(1000 + longestPauseMs())
      return ledger
    }

    const post = (id: string) =>
      fetch(`${system.api.url}/v1/webhooks/transactions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(transactionBody(id)),
      })

    test('while PostgreSQL is frozen, writes, reads and health get 503 within a second; then the API recovers', async () => {
      const ledger = await underLoad(async () => {
        await server.freeze()
        try {
          await new Promise((resolve) => setTimeout(resolve, 1500))
          const startedAt = Date.now()
          const response = await post('txn_frozen')
          expect(Date.now() - startedAt).toBeLessThan(1000)
          expect(response.status).toBe(503)
          expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
          expect(await response.json()).toMatchObject({ error: { code: 'SERVICE_UNAVAILABLE' } })
          const readAt = Date.now()
          const [health, read] = await Promise.all([
            system.call(getHealth),
            system.call(getTransaction, { params: { transaction_id: 'txn_frozen' } }),
          ])
          expect(health).toMatchObject({
            status: 503,
            body: { status: 'unhealthy', database: 'disconnected' },
          })
          expect(read.status).toBe(503)
          expect(Date.now() - readAt).toBeLessThan(1000)
        } finally {
          await server.thaw()
        }
      })
      await expectAllProcessedOnce(ledger)
    })

    test('while PostgreSQL is frozen, creates, captures, refunds, logins and single reads get 503 within a second', async () => {
      const shop = openShop(system.call)
      const { id, order_id } = await shop.paid()
      const payment = { order_id, method: 'upi', vpa: 'success@test' }
      const requests: Array<[method: string, path: string, body?: object]> = [
        ['POST', '/orders', { amount: 50_000 }],
        ['POST', '/payments', payment],
        ['POST', '/payments/public', payment],
        ['POST', `/payments/${id}/capture`, { amount: 50_000 }],
        ['POST', `/payments/${id}/refunds`, { amount: 1 }],
        ['POST', '/session', { email: 'test@example.com', password: 'any' }],
        ['GET', `/orders/${order_id}`],
        ['GET', `/orders/${order_id}/public`],
        ['GET', `/payments/${id}`],
        ['GET', `/payments/${id}/public`],
        ['GET', '/merchant'],
        ['GET', '/stats'],
        ['GET', '/test/jobs/status'],
      ]
      const send = async ([method, path, body]: (typeof requests)[number]) => {
        const startedAt = performance.now()
        const headers = {
          ...seededKeys,
          'idempotency-key': `${method}${path}`,
          'content-type': 'application/json',
        }
        const sent = body === undefined ? {} : { body: JSON.stringify(body) }
        const response = await fetch(`${system.api.url}/api/v1${path}`, { method, headers, ...sent })
        return { request: `${method} ${path}`, status: response.status, ms: performance.now() - startedAt }
      }
      await server.freeze()
      try {
        const longestPauseMs = watchPauses()
        const responses = await Promise.all(requests.map(send))
        const limitMs = 1000 + longestPauseMs()
        expect(responses.filter(({ status, ms }) => status !== 503 || ms >= limitMs)).toEqual([])
      } finally {
        await server.thaw()
      }
      const again = await waitFor('responses other than 503', async () => {
        const responses = await Promise.all(requests.slice(0, 5).map(send))
        return responses.every(({ status }) => status !== 503 && status !== 409) ? responses : undefined
      })
      // 400: the order is paid, and either the capture or the refund was first.
      expect(again.map(({ status }) => status).filter((status) => ![200, 201, 400].includes(status))).toEqual(
        [],
      )
      expect(await system.settle(new Set([id]))).toEqual([])
    })

    test('while PostgreSQL restarts under load, requests get 503; then the API recovers and no event is lost', async () => {
      const ledger = await underLoad(async () => {
        await server.stop()
        await new Promise((resolve) => setTimeout(resolve, 1000))
        await server.startAgain()
      })
      await expectAllProcessedOnce(ledger)
    })

    test('every acknowledged event survives a SIGKILL of PostgreSQL under load', async () => {
      const ledger = await underLoad(async () => {
        await server.kill()
        await new Promise((resolve) => setTimeout(resolve, 500))
        await server.startAgain()
      })
      await expectAllProcessedOnce(ledger)
    })
  })
}
