// Each payment and refund ends once when workers or the API are killed, or Redis is emptied.
import { randomUUID } from 'node:crypto'
import { createClient, createPayment, putWebhook } from '@sluice/contracts'
import {
  openShop,
  queueBackends,
  type Shop,
  seededKeys,
  seededRandom,
  startReceiver,
  startSystem,
  type TestReceiver,
  type TestSystem,
  volume,
  waitFor,
} from '@sluice/testing'
import { verify } from '@sluice/webhooks'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { findWronglyPublished } from './published-once.fixture.ts'

let system: TestSystem
let receiver: TestReceiver | undefined
afterEach(async () => {
  await system?.stop()
  await receiver?.close()
  receiver = undefined
})

/** A bank with short delays and some refusals, so that workers die before, during and after a bank request. */
const bank = {
  PROCESSING_DELAY_MIN: '0',
  PROCESSING_DELAY_MAX: '400',
  REFUND_DELAY_MIN: '0',
  REFUND_DELAY_MAX: '400',
  UPI_SUCCESS_RATE: '0.8',
}

/** Orders with two payments that race, all orders, and the payments and refunds of these. */
const CONTESTED = 2 * volume(75, 30)
const ORDERS = CONTESTED + 2 * volume(100, 40)
const PAYMENTS = ORDERS + CONTESTED
const REFUNDS = 2 * volume(100, 40)

/** A limit of the test, not a promise: `worker-faults.deadline.e2e.test.ts` asserts the promised times. */
const SETTLE_TIMEOUT_MS = 90_000

const VPA_OF_CHANCE = 'payer@bank'
const VPA_OF_FAILING_REFUNDS = 'refundfail@test'

const random = seededRandom('pauses before faults of the gateway')
const randomPause = () => new Promise((resolve) => setTimeout(resolve, 200 + random() * 1500))

/** Kills the worker with -9 at random times and starts another, `times` times. */
async function killWorkers(times: number): Promise<void> {
  for (let kill = 0; kill < times; kill++) {
    await randomPause()
    await system.workers.at(-1)!.stop('SIGKILL')
    await system.startWorker()
  }
}

/** Runs `work` for all items, with at most `atOnce` at the same time. */
async function inTurns<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index]!)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}

const range = (length: number) => Array.from({ length }, (_, i) => i)

/** Gives the merchant a receiver that checks the signatures of its webhooks. */
async function openReceiver(): Promise<TestReceiver> {
  const opened = await startReceiver({ verify })
  receiver = opened
  const body = { webhook_url: opened.url('shop') }
  const result = await system.call(putWebhook, { headers: seededKeys, body })
  if (result.status !== 200) throw new Error(`no URL was set: ${JSON.stringify(result.body)}`)
  opened.setSecret('shop', result.body.webhook_secret!)
  return opened
}

/**
 * Creates payments of fewer orders, so that many race, then partial refunds of the successful ones. The bank refuses
 * some refunds. Returns all ids.
 */
async function trade(shop: Shop): Promise<Set<string>> {
  const orders = await inTurns(range(ORDERS), 10, () => shop.order(1000))
  let paid = 0
  const pay = ({ id }: { id: string }) =>
    shop.pay(id, paid++ % 3 === 0 ? VPA_OF_FAILING_REFUNDS : VPA_OF_CHANCE)
  const racing = await inTurns(orders.slice(0, CONTESTED), 5, (order) =>
    Promise.all([pay(order), pay(order)]),
  )
  const payments = [...racing.flat(), ...(await inTurns(orders.slice(CONTESTED), 10, pay))]
  const settled = await inTurns(payments, 10, ({ id }) => shop.settled(id, 60_000))
  const refundable = settled.filter(({ status }) => status === 'success')
  expect(refundable.length).toBeGreaterThan(REFUNDS)
  const refunds = await inTurns(range(REFUNDS), 10, (n) =>
    shop.refund(refundable[n % (REFUNDS / 2)]!.id, 300),
  )
  return new Set([...payments, ...refunds].map(({ id }) => id))
}

const countOf = async (sql: string): Promise<number> => {
  const [row] = await system.database.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${sql}`)
  return row!.count
}

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`with the queue on ${backend}`, () => {
    test(`with workers killed by -9, each of ${PAYMENTS} payments and ${REFUNDS} refunds ends once and is published once`, {
      timeout: 240_000,
    }, async () => {
      // Long enough to create two payments of an order before one of them has paid it.
      const env = { ...bank, PROCESSING_DELAY_MIN: '500', PROCESSING_DELAY_MAX: '900' }
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, workers: 1, env })
      const { posts, problems } = await openReceiver()
      const shop = openShop(system.call)
      const [ids] = await Promise.all([trade(shop), killWorkers(volume(8, 4))])
      expect(ids.size).toBe(PAYMENTS + REFUNDS)
      expect(await system.settle(ids, SETTLE_TIMEOUT_MS)).toEqual([])
      expect((await system.completions()).length).toBe(PAYMENTS + REFUNDS)

      // Only the bank's refusals release refunded amounts, each once.
      const refused = `payments p ON p.id = payment_id WHERE p.bank_scenario = 'refundfail'`
      expect(await countOf(`refunds r JOIN ${refused}`)).toBeGreaterThan(REFUNDS / 5)
      expect(await countOf(`refunds r JOIN ${refused} AND r.status <> 'failed'`)).toBe(0)
      expect(await countOf(`refunds WHERE status = 'processed'`)).toBe(
        REFUNDS - (await countOf(`refunds r JOIN ${refused}`)),
      )
      expect(
        await countOf(`payments p WHERE refunded_amount <> (
          SELECT coalesce(sum(amount), 0) FROM refunds WHERE payment_id = p.id AND status = 'processed')`),
      ).toBe(0)

      expect(await findWronglyPublished(system.database)).toEqual([])
      const deliveries = await countOf('webhook_logs')
      await waitFor('all webhooks to be delivered', () => posts.size === deliveries, { timeoutMs: 60_000 })
      expect(problems).toEqual([])

      const [one] = await system.database.query<{ id: string }>(
        `SELECT payment_id AS id FROM refunds r JOIN ${refused} LIMIT 1`,
      )
      expect((await shop.refund(one!.id, 1000)).status).toBe('pending')
    })

    test('after a kill during a bank request, another worker settles with the stored bank response', async () => {
      const slow = { ...bank, PROCESSING_DELAY_MIN: '1500', PROCESSING_DELAY_MAX: '1500' }
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, workers: 1, env: slow })
      const shop = openShop(system.call)
      const payments = await inTurns(range(40), 10, async () =>
        shop.pay((await shop.order()).id, VPA_OF_CHANCE),
      )
      await waitFor(
        'all bank responses to be stored',
        async () => (await countOf('payments WHERE bank_answer IS NOT NULL')) === 40,
      )
      const responses = () =>
        system.database.query<{ id: string; outcome: string; code: string | null }>(
          `SELECT id, bank_answer->>'outcome' AS outcome, bank_answer->>'errorCode' AS code FROM payments ORDER BY id`,
        )
      const before = await responses()
      await system.workers[0]!.stop('SIGKILL')
      const killedAt = Date.now()
      await system.startWorker()
      expect(await system.settle(new Set(payments.map(({ id }) => id)), 15_000)).toEqual([])
      expect(Date.now() - killedAt).toBeLessThan(15_000)
      expect(await responses()).toEqual(before)
      const statuses = await system.database.query<{ id: string; outcome: string; code: string | null }>(
        'SELECT id, status AS outcome, error_code AS code FROM payments ORDER BY id',
      )
      expect(statuses).toEqual(before)
    })
  })
}

// Keys, payments and deliveries are in PostgreSQL, so one queue backend is enough.
test('with an API killed by -9 and repeated requests, each key creates one payment, published once', async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 1, env: bank })
  await openReceiver()
  const shop = openShop(system.call)
  const orders = await inTurns(range(200), 10, () => shop.order(1000))
  let api = system.api
  const killApis = async () => {
    for (let kill = 0; kill < 5; kill++) {
      await randomPause()
      await api.stop('SIGKILL')
      api = await system.startApi()
    }
  }
  const payUntilCreated = async (orderId: string): Promise<string> => {
    const headers = { ...seededKeys, 'idempotency-key': randomUUID() }
    const body = { order_id: orderId, method: 'upi' as const, vpa: VPA_OF_CHANCE }
    const payOnce = async () => {
      const result = await createClient(api.url)(createPayment, { headers, body })
      return result.status === 201 ? result.body.id : undefined
    }
    return waitFor('a response', payOnce, { timeoutMs: 60_000 })
  }
  const [ids] = await Promise.all([inTurns(orders, 4, ({ id }) => payUntilCreated(id)), killApis()])
  expect(await system.settle(new Set(ids), SETTLE_TIMEOUT_MS)).toEqual([])
  expect(new Set(ids).size).toBe(200)
  expect(await countOf('payments')).toBe(200)
  expect(await findWronglyPublished(system.database)).toEqual([])
})

describe.skipIf(!queueBackends.find(({ backend }) => backend === 'redis')?.available)('Redis', () => {
  test('emptied while payments and refunds wait for the bank: each still ends once', async () => {
    const slow = {
      PROCESSING_DELAY_MIN: '1000',
      PROCESSING_DELAY_MAX: '2000',
      REFUND_DELAY_MIN: '1000',
      REFUND_DELAY_MAX: '2000',
    }
    system = await startSystem({
      postgresUrl: inject('postgresUrl'),
      backend: 'redis',
      workers: 1,
      env: slow,
    })
    const shop = openShop(system.call)
    const paid = await inTurns(range(20), 20, () => shop.paid())
    const refunds = await inTurns(paid, 10, ({ id }) => shop.refund(id, 100))
    const payments = await inTurns(range(20), 10, async () => shop.pay((await shop.order()).id))
    await system.redis!.flush()
    const ids = new Set([...paid, ...refunds, ...payments].map(({ id }) => id))
    expect(await system.settle(ids, SETTLE_TIMEOUT_MS)).toEqual([])
    expect(await countOf(`payments WHERE status = 'success'`)).toBe(40)
    expect(await countOf(`refunds WHERE status = 'processed'`)).toBe(20)
  })
})
