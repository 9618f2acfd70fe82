// A delivery and its change are one commit: a worker or an API that is killed while it writes them leaves neither.
import { randomUUID } from 'node:crypto'
import { createPayment, createRefund, postPaymentEvent, postTransaction } from '@sluice/contracts'
import {
  expectStatus,
  openShop,
  paymentEventBody,
  SEEDED_MERCHANT_ID,
  seededKeys,
  startSystem,
  type TestSystem,
  transactionBody,
  waitFor,
} from '@sluice/testing'
import { expect, inject, onTestFinished, test } from 'vitest'
import { startEndpoint } from './merchant-endpoint.fixture.ts'
import { findWronglyPublished } from './published-once.fixture.ts'

async function startPublishing(): Promise<TestSystem> {
  const env = { TRANSACTION_PROCESSING_DELAY_MS: '0' }
  const system = await startSystem({ postgresUrl: inject('postgresUrl'), env })
  onTestFinished(system.stop)
  const { url } = await startEndpoint(onTestFinished)
  await system.database.query('UPDATE merchants SET webhook_url = $2 WHERE id = $1', [
    SEEDED_MERCHANT_ID,
    url,
  ])
  return system
}

/** Locks deliveries against writes, so that writers wait; returns the release. */
async function lockDeliveries({ database }: TestSystem): Promise<() => Promise<void>> {
  const session = await database.session()
  await session.query('BEGIN')
  await session.query('LOCK TABLE webhook_logs IN SHARE MODE')
  return async () => {
    await session.query('COMMIT')
    await session.end()
  }
}

/** The pids of the workers' database sessions, or of those that wait to write deliveries. */
async function workerSessions({ database }: TestSystem, which: 'all' | 'publishing'): Promise<number[]> {
  const rows = await database.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice-worker' AND datname = current_database()
     AND ($1 = 'all' OR wait_event_type = 'Lock' AND query ~ '^\\s*INSERT INTO webhook_logs')`,
    [which],
  )
  return rows.map(({ pid }) => pid)
}

test('a worker killed while it writes deliveries commits neither them nor their changes; later each is committed once', async () => {
  const system = await startPublishing()
  const { call, database } = system
  const shop = openShop(call)
  const paid = await shop.paid()
  await system.workers[0]!.stop()
  // One of each kind of work.
  expectStatus(await call(postTransaction, { body: transactionBody('txn') }), 202)
  expectStatus(await call(postPaymentEvent, { body: paymentEventBody('evt', 'pay_ext') }), 202)
  const payment = await shop.pay((await shop.order()).id)
  const refund = await shop.refund(paid.id, 100)
  const before = await system.completions()

  const release = await lockDeliveries(system)
  const worker = await system.startWorker()
  await waitFor(
    'all four to be about to be published',
    async () => (await workerSessions(system, 'publishing')).length === 4,
  )
  expect(await system.completions()).toEqual(before)
  await worker.stop('SIGKILL')
  // Otherwise the sessions of the killed worker commit after the release.
  const orphans = await workerSessions(system, 'all')
  await database.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [orphans])
  await waitFor('its sessions to end', async () => (await workerSessions(system, 'all')).length === 0)
  await release()
  expect(await system.completions()).toEqual(before)

  await system.startWorker()
  expect(await system.settle(new Set(['txn', 'evt', payment.id, refund.id]))).toEqual([])
  expect(await findWronglyPublished(database)).toEqual([])
})

test('an API that cannot write deliveries responds 503 and creates no payment or refund; a retry creates one', async () => {
  const system = await startPublishing()
  const { call, database } = system
  const shop = openShop(call)
  const [paid, order] = await Promise.all([shop.paid(), shop.order()])
  const keyed = () => ({ ...seededKeys, 'idempotency-key': randomUUID() })
  const pay = { headers: keyed(), body: { order_id: order.id, method: 'upi' as const, vpa: 'success@test' } }
  const giveBack = { headers: keyed(), params: { payment_id: paid.id }, body: { amount: 100 } }
  const made = () =>
    database.query(
      'SELECT (SELECT count(*)::int FROM payments), (SELECT count(*)::int FROM refunds) AS refunds',
    )
  await waitFor('all webhooks to be delivered', async () => {
    const open = await database.query('SELECT FROM webhook_logs WHERE settled_at IS NULL')
    return open.length === 0
  })
  const before = await made()

  const release = await lockDeliveries(system)
  expect((await call(createPayment, pay)).status).toBe(503)
  expect((await call(createRefund, giveBack)).status).toBe(503)
  await release()
  expect(await made()).toEqual(before)

  const again = async () => {
    const [payment, refund] = await Promise.all([call(createPayment, pay), call(createRefund, giveBack)])
    return payment.status === 201 && refund.status === 201 ? [payment.body.id, refund.body.id] : undefined
  }
  const ids = await waitFor('both to be created', again)
  expect(await system.settle(new Set(ids))).toEqual([])
  expect(await made()).toEqual([{ count: 2, refunds: 1 }])
  expect(await findWronglyPublished(database)).toEqual([])
})
