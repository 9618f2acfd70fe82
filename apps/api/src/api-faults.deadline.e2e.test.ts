// The API answers in time when its PostgreSQL is frozen, restarted or killed, and it stops in time; nothing is lost.
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

let system: TestSystem

async function expectAllProcessedOnce({ acknowledged }: Ledger): Promise<void> {
  expect(await system.settle(acknowledged)).toEqual([])
}

/** Requests were answered 202, or broken off with the API. A busy machine may cost a 503 now and then. */
function expectNothingButBreaks({ statuses, acknowledged }: Ledger): void {
  expect([...statuses.keys()].filter((status) => ![0, 202, 503].includes(status))).toEqual([])
  expect(statuses.get(503) ?? 0).toBeLessThan(Math.max(5, acknowledged.size / 50))
}

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`the API, with the queue on ${backend}`, () => {
    afterEach(() => system?.stop())

    test('SIGTERM with connections that were never used: they hold nothing up', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend })
      const { hostname, port } = new URL(system.api.url)
      const unused = net.connect(Number(port), hostname).on('error', () => {})
      await once(unused, 'connect')
      await fetch(`${system.api.url}/live`) // it has been accepted by now
      const startedAt = Date.now()
      expect(await system.api.stop()).toEqual({ code: 0, signal: null })
      expect(Date.now() - startedAt).toBeLessThan(2000)
    })

    test('SIGTERM under load: it exits with 0 in time and what it acknowledged is there', async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend })
      const stop = new AbortController()
      const load = postEvents({ url: () => system.api.url, signal: stop.signal, connections: 50 })
      await new Promise((resolve) => setTimeout(resolve, 1000))
      const startedAt = Date.now()
      expect(await system.api.stop()).toEqual({ code: 0, signal: null })
      expect(Date.now() - startedAt).toBeLessThan(10_000)
      stop.abort()
      const ledger = await load
      expectNothingButBreaks(ledger)
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

    /** Load that goes on for a while before and after `what`, sending again what was not acknowledged. */
    async function underLoad(what: () => Promise<void>): Promise<Ledger> {
      const stop = new AbortController()
      const longestPauseMs = watchPauses()
      const load = postEvents({
        url: () => system.api.url,
        signal: stop.signal,
        connections: 20,
        resend: true,
      })
      await new Promise((resolve) => setTimeout(resolve, 1000))
      await what()
      await waitFor('the API to take deliveries again', async () => {
        const response = await post(`txn_probe_${Math.random()}`)
        return response.status === 202
      })
      await new Promise((resolve) => setTimeout(resolve, 1000))
      stop.abort()
      const ledger = await load
      expect([...ledger.statuses.keys()].filter((status) => ![202, 503].includes(status))).toEqual([])
      expect(ledger.statuses.get(503)).toBeGreaterThan(0) // the fault was felt
      expect(ledger.slowest.ms, JSON.stringify(ledger.slowest)).toBeLessThan(1000 + longestPauseMs())
      return ledger
    }

    const post = (id: string) =>
      fetch(`${system.api.url}/v1/webhooks/transactions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(transactionBody(id)),
      })

    test('frozen: 503 with Retry-After in under a second, reads and health do not hang, then recovery', async () => {
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

    test('frozen: whoever creates, captures, refunds, logs in or reads one thing is answered 503 within a second', async () => {
      const shop = openShop(system.call)
      const { id, order_id } = await shop.paid()
      const payment = { order_id, method: 'upi', vpa: 'success@test' }
      const asked: Array<[method: string, path: string, body?: object]> = [
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
      const ask = async ([method, path, body]: (typeof asked)[number]) => {
        const startedAt = performance.now()
        const headers = {
          ...seededKeys,
          'idempotency-key': `${method}${path}`,
          'content-type': 'application/json',
        }
        const sent = body === undefined ? {} : { body: JSON.stringify(body) }
        const response = await fetch(`${system.api.url}/api/v1${path}`, { method, headers, ...sent })
        return { asked: `${method} ${path}`, status: response.status, ms: performance.now() - startedAt }
      }
      await server.freeze()
      try {
        const longestPauseMs = watchPauses()
        const answers = await Promise.all(asked.map(ask))
        const limitMs = 1000 + longestPauseMs()
        expect(answers.filter(({ status, ms }) => status !== 503 || ms >= limitMs)).toEqual([])
      } finally {
        await server.thaw()
      }
      const again = await waitFor('the database to answer again', async () => {
        const answers = await Promise.all(asked.slice(0, 5).map(ask))
        return answers.every(({ status }) => status !== 503 && status !== 409) ? answers : undefined
      })
      // Paid already, and captured before it was refunded, or the other way round.
      expect(again.map(({ status }) => status).filter((status) => ![200, 201, 400].includes(status))).toEqual(
        [],
      )
      expect(await system.settle(new Set([id]))).toEqual([])
    })

    test('restarted under load: 503s, then recovery, nothing lost', async () => {
      const ledger = await underLoad(async () => {
        await server.stop()
        await new Promise((resolve) => setTimeout(resolve, 1000))
        await server.startAgain()
      })
      await expectAllProcessedOnce(ledger)
    })

    test('killed with -9 under load: every acknowledged id survives the crash', async () => {
      const ledger = await underLoad(async () => {
        await server.kill()
        await new Promise((resolve) => setTimeout(resolve, 500))
        await server.startAgain()
      })
      await expectAllProcessedOnce(ledger)
    })
  })
}
