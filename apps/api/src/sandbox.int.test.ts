// The sandbox for testers: job states on both queue backends, the seeded merchant, and a scripted bank.
import {
  getApiHealth,
  getHealth,
  getJobsStatus,
  getTestMerchant,
  JobsStatus,
  type Payment,
} from '@sluice/contracts'
import {
  addMerchant,
  expectStatus,
  openShop,
  queueBackends,
  startApp,
  startSystem,
  type TestSystem,
  waitFor,
} from '@sluice/testing'
import Value from 'typebox/value'
import { describe, expect, inject, onTestFinished, test } from 'vitest'

/** Concurrent tests pass their own `onTestFinished` as `atEnd`. */
async function start(
  options: Partial<Parameters<typeof startSystem>[0]> = {},
  atEnd = onTestFinished,
): Promise<TestSystem> {
  const system = await startSystem({ postgresUrl: inject('postgresUrl'), ...options })
  atEnd(() => system.stop())
  return system
}

/** The delay in the bank response, and the real delay by the database's clock. */
async function bankOf(system: TestSystem, table: 'payments' | 'refunds', id: string) {
  const [row] = await system.database.query<{ respondedMs: number; tookMs: number }>(
    `SELECT (bank_answer->>'settlesInMs')::float8 AS "respondedMs",
            (extract(epoch FROM settled_at - bank_asked_at) * 1000)::float8 AS "tookMs"
     FROM ${table} WHERE id = $1`,
    [id],
  )
  return row!
}

/** A generous limit for a busy machine. */
const LATE_MS_MAX = 10_000
function expectDelay(
  { respondedMs, tookMs }: { respondedMs: number; tookMs: number },
  min: number,
  max = min,
) {
  expect(respondedMs).toBeGreaterThanOrEqual(min)
  expect(respondedMs).toBeLessThanOrEqual(max)
  expect(tookMs).toBeGreaterThanOrEqual(respondedMs)
  expect(tookMs).toBeLessThan(max + LATE_MS_MAX)
}

// These tests mostly wait, so they run side by side.
describe.for(queueBackends)('with the queue on $backend', { concurrent: true }, ({ backend, available }) => {
  test.skipIf(!available)(
    'jobs are pending, then completed or failed; the worker runs or is stopped',
    async ({ onTestFinished: atEnd }) => {
      const delays = { PROCESSING_DELAY_MIN: '3000', PROCESSING_DELAY_MAX: '3000', UPI_SUCCESS_RATE: '1' }
      const system = await start({ backend, env: delays }, atEnd)
      const shop = openShop(system.call)
      // The response is 503 until the queue is connected.
      const jobs = async () => {
        const status = expectStatus(await system.call(getJobsStatus), 200)
        expect([...Value.Errors(JobsStatus, status)]).toEqual([])
        return status
      }
      const shows = (expected: Partial<JobsStatus>, timeoutMs = 15_000) =>
        waitFor(
          `jobs to be ${JSON.stringify(expected)}`,
          async () => {
            expect(await jobs()).toMatchObject(expected)
            return true
          },
          { timeoutMs },
        )
      const none = { pending: 0, processing: 0, completed: 0, failed: 0 }
      await shows({ ...none, worker_status: 'running' })
      expect(await jobs()).toEqual({ ...none, worker_status: 'running' })

      const first = await shop.pay((await shop.order()).id, 'user@paytm')
      await shows({ pending: 1, processing: 0, completed: 0, failed: 0 })
      expect((await shop.readPayment(first.id)).status).toBe('pending')
      await shows({ pending: 0, processing: 0, completed: 1, failed: 0 })
      expect((await shop.readPayment(first.id)).status).toBe('success')

      await shop.settled((await shop.pay((await shop.order()).id, 'failure@test')).id)
      await shows({ pending: 0, processing: 0, completed: 1, failed: 1 })
      await shop.refundSettled((await shop.refund(first.id, 100)).id)
      await shows({ pending: 0, processing: 0, completed: 2, failed: 1 })

      // A killed worker is noticed by its missing heartbeat, independent of the queue. One backend is enough for that.
      await system.workers[0]!.stop(backend === 'postgresql' ? 'SIGKILL' : 'SIGTERM')
      await shows({ worker_status: 'stopped' })
      const waiting = await shop.pay((await shop.order()).id, 'user@paytm')
      await shows({ pending: 1, processing: 0, completed: 2, failed: 1, worker_status: 'stopped' })
      await system.startWorker()
      await shows({ worker_status: 'running' })
      expect((await shop.settled(waiting.id)).status).toBe('success')
      await shows({ pending: 0, processing: 0, completed: 3, failed: 1 })
    },
  )

  test.skipIf(!available)(
    'health has exactly its five fields, and needs no keys',
    async ({ onTestFinished: atEnd }) => {
      const system = await start({ backend }, atEnd)
      for (const contract of [getHealth, getApiHealth]) {
        // The API serves before its queue is connected.
        const { status, body } = await waitFor('the system to be healthy', async () => {
          const response = await system.call(contract)
          return 'status' in response.body && response.body.status === 'healthy' ? response : undefined
        })
        expect({ status, body }).toEqual({
          status: 200,
          body: {
            status: 'healthy',
            database: 'connected',
            redis: backend === 'redis' ? 'connected' : 'not_configured',
            worker: 'running',
            timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/),
          },
        })
      }
      const head = await fetch(`${system.api.url}/health`, { method: 'HEAD' })
      expect([head.status, await head.text()]).toEqual([200, ''])
    },
  )
})

test('the seeded merchant is readable without keys, and 404 when it is missing', async () => {
  const system = await start({ workers: 0 })
  const { status, body } = await system.call(getTestMerchant)
  expect({ status, body }).toEqual({
    status: 200,
    body: {
      id: '550e8400-e29b-41d4-a716-446655440000',
      email: 'test@example.com',
      api_key: 'key_test_abc123',
      seeded: true,
    },
  })
  await system.database.query('DELETE FROM merchant_accounts')
  await system.database.query('DELETE FROM merchants')
  expect(await system.call(getTestMerchant)).toMatchObject({
    status: 404,
    body: { error: { code: 'NOT_FOUND_ERROR', description: 'Merchant not found' } },
  })
})

describe('TEST_MODE', () => {
  test('makes every payment a success after exactly the delay, and delays refunds as long', async () => {
    const system = await start({
      env: {
        TEST_MODE: 'true',
        TEST_PROCESSING_DELAY: '700',
        UPI_SUCCESS_RATE: '0',
        CARD_SUCCESS_RATE: '0',
        PROCESSING_DELAY_MIN: '5000',
        PROCESSING_DELAY_MAX: '10000',
        REFUND_DELAY_MIN: '3000',
        REFUND_DELAY_MAX: '5000',
      },
    })
    const shop = openShop(system.call)
    const orders = await Promise.all(Array.from({ length: 6 }, () => shop.order()))
    const payments = [
      await shop.pay(orders[0]!.id, 'user@paytm'),
      await shop.pay(orders[1]!.id, 'failure@test'),
      await shop.pay(orders[2]!.id, 'timeout@test'),
      await shop.pay(orders[3]!.id, 'refundfail@test'),
      await shop.payByCard(orders[4]!.id, '4000000000000002'),
      await shop.payByCard(orders[5]!.id, '5555555555554444'),
    ]
    for (const { id } of payments) {
      expect(await shop.settled(id)).toMatchObject({ status: 'success', error_code: null })
      expectDelay(await bankOf(system, 'payments', id), 700)
    }
    const refund = await shop.refundSettled((await shop.refund(payments[0]!.id, 100)).id)
    expect(refund.status).toBe('processed')
    expectDelay(await bankOf(system, 'refunds', refund.id), 700)
    const refused = await shop.refundSettled((await shop.refund(payments[3]!.id, 100)).id)
    expect(refused.status).toBe('failed')
  })

  test('makes every payment fail when TEST_PAYMENT_SUCCESS is false; the default delay is 1 s', async () => {
    const system = await start({
      env: {
        TEST_MODE: 'true',
        TEST_PAYMENT_SUCCESS: 'false',
        UPI_SUCCESS_RATE: '1',
        CARD_SUCCESS_RATE: '1',
      },
    })
    const shop = openShop(system.call)
    const { id: orderId } = await shop.order()
    const payments = [
      await shop.pay(orderId, 'success@test'),
      await shop.payByCard((await shop.order()).id, '4111111111111111'),
    ]
    for (const { id } of payments) {
      expect(await shop.settled(id)).toMatchObject({
        status: 'failed',
        error_code: 'PAYMENT_FAILED',
        error_description: expect.stringMatching(/\w/),
      })
      expectDelay(await bankOf(system, 'payments', id), 1000)
    }
  })
})

test('ordinary payments follow the success rates, with random delays in their range', async () => {
  const system = await start({
    env: {
      UPI_SUCCESS_RATE: '0',
      CARD_SUCCESS_RATE: '1',
      PROCESSING_DELAY_MIN: '300',
      PROCESSING_DELAY_MAX: '900',
      REFUND_DELAY_MIN: '200',
      REFUND_DELAY_MAX: '800',
    },
  })
  const shop = openShop(system.call)
  const payments: Payment[] = []
  for (let n = 0; n < 10; n++) {
    payments.push(await shop.pay((await shop.order()).id, `user${n}@paytm`))
    payments.push(await shop.payByCard((await shop.order()).id, '5555555555554444'))
  }
  const delays = new Set<number>()
  for (const { id } of payments) {
    const { method, status, error_code } = await shop.settled(id)
    expect([method, status, error_code]).toEqual(
      method === 'upi' ? ['upi', 'failed', 'PAYMENT_FAILED'] : ['card', 'success', null],
    )
    const bank = await bankOf(system, 'payments', id)
    expectDelay(bank, 300, 900)
    delays.add(bank.respondedMs)
  }
  expect(delays.size).toBeGreaterThan(1)
  const refundDelays = new Set<number>()
  for (let n = 0; n < 5; n++) {
    const refund = await shop.refundSettled((await shop.refund(payments[1]!.id, 10)).id)
    const bank = await bankOf(system, 'refunds', refund.id)
    expectDelay(bank, 200, 800)
    refundDelays.add(bank.respondedMs)
    const took = Date.parse(refund.processed_at!) - Date.parse(refund.created_at)
    expect(took).toBeGreaterThanOrEqual(bank.respondedMs - 1) // both are cut to milliseconds
  }
  expect(refundDelays.size).toBeGreaterThan(1)
})

describe('with SANDBOX=false', () => {
  test('magic values have no effect, and the routes for testers are 404', async () => {
    const system = await start({
      env: {
        SANDBOX: 'false',
        GATEWAY_SECRET: 'a-secret-of-this-test-0123456789',
        UPI_SUCCESS_RATE: '1',
        CARD_SUCCESS_RATE: '0',
      },
    })
    const { keys } = await addMerchant(system.database)
    const shop = openShop(system.call, keys)
    for (const vpa of ['failure@test', 'failure@razorpay', 'timeout@test', 'success@test']) {
      expect((await shop.settled((await shop.pay((await shop.order()).id, vpa)).id)).status).toBe('success')
    }
    const paid = await shop.paid(1000, 'refundfail@test')
    expect((await shop.refundSettled((await shop.refund(paid.id, 1000)).id)).status).toBe('processed')
    for (const number of ['4111111111111111', '4000000000000002']) {
      const { id } = await shop.payByCard((await shop.order()).id, number)
      expect(await shop.settled(id)).toMatchObject({ status: 'failed', error_code: 'PAYMENT_FAILED' })
    }
    const scripted = await system.database.query('SELECT 1 FROM payments WHERE bank_scenario IS NOT NULL')
    expect(scripted).toEqual([])
    for (const contract of [getTestMerchant, getJobsStatus]) {
      expect(await system.call(contract)).toMatchObject({
        status: 404,
        body: { error: { code: 'NOT_FOUND_ERROR' } },
      })
    }
  })

  test('TEST_MODE stops API and worker at start, with an error that names it', async () => {
    const system = await start({ workers: 0 })
    const env = {
      ...system.env,
      SANDBOX: 'false',
      GATEWAY_SECRET: 'a-secret-of-this-test-0123456789',
      TEST_MODE: 'true',
    }
    for (const app of ['api', 'worker'] as const)
      await expect(startApp(app, env)).rejects.toThrow(/TEST_MODE/)
  })
})
