// For tests: each route that accepts an idempotency key, with a prepared request, and a lock that blocks it.
import { randomUUID } from 'node:crypto'
import {
  openShop,
  type Post,
  SEEDED_MERCHANT_ID,
  seededKeys,
  type TestSystem,
  waitFor,
} from '@sluice/testing'
import { onTestFinished } from 'vitest'

/** A request to an object of its own. */
interface Prepared {
  request: Post
  /** Another valid body for the same path. */
  otherBody: object
  /** A request that gets 400 or 404, to the same path if possible. */
  refused: Post
  /** Counts its effects. */
  effects: () => Promise<number>
  /** Waits until the created object is settled. */
  settle: () => Promise<unknown>
  /** A lock that blocks the request. */
  lock: { text: string; value: string }
}

interface Route {
  route: string
  /** The status of success. */
  done: number
  /** The status of a second request with a new key, or without one. */
  again: number
  prepare: (system: TestSystem) => Promise<Prepared>
}

const counted =
  ({ database }: TestSystem, text: string, value: string) =>
  async () =>
    (await database.query(text, [value])).length
const upi = (orderId: string, vpa = 'success@test') => ({ order_id: orderId, method: 'upi', vpa })
const unknownOrder = 'order_0000000000000000'

async function preparePayment(
  system: TestSystem,
  path: string,
  headers: Record<string, string>,
): Promise<Prepared> {
  const shop = openShop(system.call)
  const { id } = await shop.order()
  return {
    request: { path, headers, body: upi(id, 'failure@test') },
    otherBody: upi(id, 'success@razorpay'),
    refused: path.endsWith('/public')
      ? { path, headers, body: upi((await shop.paid()).order_id) }
      : { path, headers, body: upi(unknownOrder) },
    effects: counted(system, 'SELECT id FROM payments WHERE order_id = $1', id),
    settle: async () => {
      const rows = await system.database.query<{ id: string }>(
        'SELECT id FROM payments WHERE order_id = $1',
        [id],
      )
      for (const row of rows) await shop.settled(row.id)
    },
    lock: { text: 'SELECT 1 FROM orders WHERE id = $1 FOR UPDATE', value: id },
  }
}

const lockPayment = (value: string) => ({ text: 'SELECT 1 FROM payments WHERE id = $1 FOR UPDATE', value })

export const idempotentRoutes: Route[] = [
  {
    route: 'orders',
    done: 201,
    again: 201,
    async prepare(system) {
      const shop = openShop(system.call)
      const path = '/api/v1/orders'
      const receipt = randomUUID()
      const body = { amount: 500, currency: 'JPY', receipt, notes: { a: 1 } }
      const effects = 'SELECT id FROM orders WHERE receipt = $1'
      return {
        request: { path, body },
        otherBody: { ...body, notes: { a: 2 } },
        refused: { path, body: { ...body, amount: 99 } },
        effects: counted(system, effects, receipt),
        settle: async () => {
          const [order] = await system.database.query<{ id: string }>(effects, [receipt])
          await shop.settled((await shop.pay(order!.id)).id)
        },
        // An insert of an order waits for the lock of its merchant's row.
        lock: { text: 'SELECT 1 FROM merchants WHERE id = $1 FOR UPDATE', value: SEEDED_MERCHANT_ID },
      }
    },
  },
  {
    route: 'payments',
    done: 201,
    again: 201,
    prepare: (system) => preparePayment(system, '/api/v1/payments', seededKeys),
  },
  {
    route: 'payments of payers',
    done: 201,
    again: 201,
    prepare: (system) => preparePayment(system, '/api/v1/payments/public', {}),
  },
  {
    route: 'captures',
    done: 200,
    again: 400,
    async prepare(system) {
      const shop = openShop(system.call)
      const { id, amount } = await shop.paid()
      const path = `/api/v1/payments/${id}/capture`
      return {
        request: { path, body: { amount } },
        otherBody: { amount: amount - 1 },
        refused: { path, body: { amount: amount - 1 } },
        effects: counted(
          system,
          `SELECT 1 FROM payment_log WHERE payment_id = $1 AND change = 'captured'`,
          id,
        ),
        settle: async () => shop.refundSettled((await shop.refund(id, 100)).id),
        lock: lockPayment(id),
      }
    },
  },
  {
    route: 'refunds',
    done: 201,
    again: 201,
    async prepare(system) {
      const shop = openShop(system.call)
      const { id, amount } = await shop.paid()
      const path = `/api/v1/payments/${id}/refunds`
      const effects = 'SELECT id FROM refunds WHERE payment_id = $1'
      return {
        request: { path, body: { amount: 100, reason: 'ünhappy 😀' } },
        otherBody: { amount: 100, reason: 'other' },
        refused: { path, body: { amount: amount + 1 } },
        effects: counted(system, effects, id),
        settle: async () => {
          for (const row of await system.database.query<{ id: string }>(effects, [id])) {
            await shop.refundSettled(row.id)
          }
        },
        lock: lockPayment(id),
      }
    },
  },
]

/** Locks a row, until the end of the test at the latest. */
export async function holdLock({ database }: TestSystem, { text, value }: Prepared['lock']) {
  const [holder, watcher] = await Promise.all([database.session(), database.session()])
  onTestFinished(() => Promise.all([holder.end(), watcher.end()]).then(() => {}))
  await holder.query('BEGIN')
  await holder.query(text, [value])
  const { rows } = await holder.query('SELECT pg_backend_pid() AS pid')
  const waiting = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND $1 = ANY (pg_blocking_pids(pid))`
  const isWaitedFor = async () => (await watcher.query(waiting, [rows[0].pid])).rowCount !== 0
  return {
    waitedFor: () => waitFor('a request to wait for the row', isWaitedFor, { intervalMs: 5 }),
    release: () => holder.query('ROLLBACK'),
  }
}
