// Moves of payments and refunds on a real database: only along the state machine, each logged once with its row.
import { createDatabase, SEEDED_MERCHANT_ID, type TestDatabase, volume } from '@sluice/testing'
import fc from 'fast-check'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Database, openDatabase, type Tx } from '../platform/database.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { newId } from '../platform/ids.ts'
import { createRefund } from './create-refund.ts'
import { paymentOnTheWire } from './payment.ts'
import { type MoveOptions, movePayment, moveRefund, type paymentMoves } from './payment-status.ts'
import { findPayment, findRefund } from './read.ts'
import { refundOnTheWire } from './refund.ts'

/** Limits for a busy machine. */
const patient = { statementTimeoutMs: 5000, connectTimeoutMs: 5000 }
let database: TestDatabase
let db: Database
beforeAll(async () => {
  database = await createDatabase(inject('postgresUrl'))
  const log = pino({ level: 'silent' })
  db = openDatabase({ url: database.url, applicationName: 'test', log, ...patient })
})
afterAll(async () => {
  await db?.close()
  await database?.drop()
})

const query = <Row>(text: string, values: unknown[] = []) =>
  db.atomically((tx) => tx.query<Row>({ text, values }))

const AMOUNT = 1000
const FAILURE = { errorCode: 'DECLINED', errorDescription: 'The card was declined' }

/** The states that a payment may be in. */
const places = ['created', 'pending', 'failed', 'success', 'captured', 'refunded in part'] as const
type Place = (typeof places)[number]
const settledPlaces = { created: 'created', pending: 'pending', failed: 'failed' } as const

async function insertPayment(place: Place): Promise<string> {
  const id = newId('pay')
  const orderId = newId('order')
  const status = place in settledPlaces ? settledPlaces[place as keyof typeof settledPlaces] : 'success'
  const isSettled = status === 'success' || status === 'failed'
  await db.atomically(async (tx) => {
    await tx.query({
      text: 'INSERT INTO orders (id, merchant_id, amount) VALUES ($1, $2, $3)',
      values: [orderId, SEEDED_MERCHANT_ID, AMOUNT],
    })
    await tx.query({
      text: `
        INSERT INTO payments (id, order_id, merchant_id, amount, method, vpa, status, error_code, settled_at, captured,
                              request_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $9::boolean THEN now() END, $10, 'set-up')`,
      values: [
        id,
        orderId,
        SEEDED_MERCHANT_ID,
        AMOUNT,
        status === 'created' ? 'gateway' : 'upi',
        status === 'created' ? null : 'a@b',
        status,
        status === 'failed' ? 'SET_UP' : null,
        isSettled,
        place === 'captured',
      ],
    })
    if (status === 'success') await payOrderOf(tx, id)
  })
  if (place === 'refunded in part') await insertRefund('pending', id)
  return id
}

const payOrderOf = (tx: Tx, paymentId: string) =>
  tx.query({
    text: `
      UPDATE orders SET status = 'paid', claimed_by = payments.id FROM payments
      WHERE payments.id = $1 AND orders.id = payments.order_id`,
    values: [paymentId],
  })

/** Moves as the worker does: a success pays the order in the same commit. */
async function moveWithOrder(tx: Tx, change: keyof typeof paymentMoves, options: MoveOptions) {
  const row = await movePayment(tx, change, options)
  if (row !== undefined && change === 'success') await payOrderOf(tx, options.id)
  return row
}

async function insertRefund(status: string, paymentId?: string): Promise<string> {
  const id = newId('rfnd')
  await query(
    `INSERT INTO refunds (id, payment_id, merchant_id, amount, status, error_code, processed_at, settled_at, request_id)
     VALUES ($1, $2, $3, 100, $4::text, $5, CASE WHEN $4::text = 'processed' THEN now() END,
             CASE WHEN $4::text <> 'pending' THEN now() END, 'set-up')`,
    [
      id,
      paymentId ?? (await insertPayment('success')),
      SEEDED_MERCHANT_ID,
      status,
      status === 'failed' ? 'SET_UP' : null,
    ],
  )
  return id
}

interface LogRow {
  change: string
  refund_id: string | null
  amount: number
  cause: string
  request_id: string
}

const logOf = (paymentId: string) =>
  query<LogRow>(
    `SELECT change, refund_id, amount::float8, cause, request_id FROM payment_log WHERE payment_id = $1 ORDER BY id`,
    [paymentId],
  )

/** All columns of a payment or refund, as text. */
const stateOf = async (id: string) =>
  (
    await query<{ row: string; updated_at: Date }>(
      `SELECT to_jsonb(p)::text AS row, updated_at FROM payments p WHERE id = $1
       UNION ALL SELECT to_jsonb(r)::text, updated_at FROM refunds r WHERE id = $1`,
      [id],
    )
  )[0]!

/** A second copy of the table, so that a change of it fails here. */
const paymentMovesFrom: Record<'success' | 'failed' | 'captured', Place[]> = {
  success: ['created', 'pending'],
  failed: ['created', 'pending'],
  captured: ['success'],
}
const changes = ['success', 'failed', 'captured'] as const

describe.each(changes)('a payment is moved by %s', (change) => {
  const moved = (id: string) => ({ id, cause: 'a test', requestId: 'r-7', failure: FAILURE })

  test.each(places)('only from its source states: %s', async (place) => {
    const id = await insertPayment(place)
    const before = await stateOf(id)
    const row = await db.atomically((tx) => moveWithOrder(tx, change, moved(id)))
    if (!paymentMovesFrom[change].includes(place)) {
      expect(row).toBeUndefined()
      expect(await stateOf(id)).toEqual(before)
      expect(await logOf(id)).toEqual([])
      return
    }
    expect(paymentOnTheWire(row!)).toEqual(await findPayment(db, SEEDED_MERCHANT_ID, id))
    expect(row).toMatchObject({
      status: change === 'captured' ? 'success' : change,
      captured: change === 'captured',
      errorCode: change === 'failed' ? FAILURE.errorCode : null,
      errorDescription: change === 'failed' ? FAILURE.errorDescription : null,
    })
    expect(row!.updatedAt.getTime()).toBeGreaterThan(before.updated_at.getTime())
    expect(await logOf(id)).toEqual([
      { change, refund_id: null, amount: AMOUNT, cause: 'a test', request_id: 'r-7' },
    ])
    // The second call moves nothing.
    const after = await stateOf(id)
    expect(await db.atomically((tx) => moveWithOrder(tx, change, moved(id)))).toBeUndefined()
    expect(await stateOf(id)).toEqual(after)
    expect(await logOf(id)).toHaveLength(1)
  })

  test('once by ten concurrent transactions', async () => {
    const id = await insertPayment(paymentMovesFrom[change].at(-1)!)
    const rows = await Promise.all(
      Array.from({ length: 10 }, () => db.atomically((tx) => moveWithOrder(tx, change, moved(id)))),
    )
    expect(rows.filter((row) => row !== undefined)).toHaveLength(1)
    expect(await logOf(id)).toHaveLength(1)
  })

  test('with a later updated_at, even after the clock was set back', async () => {
    const id = await insertPayment(paymentMovesFrom[change][0]!)
    await query(`UPDATE payments SET updated_at = '2099-01-01T00:00:00.123Z' WHERE id = $1`, [id])
    const row = await db.atomically((tx) => moveWithOrder(tx, change, moved(id)))
    expect(row!.updatedAt.toISOString()).toBe('2099-01-01T00:00:00.124Z')
  })

  test('and a failed commit moves nothing', async () => {
    const id = await insertPayment(paymentMovesFrom[change][0]!)
    const before = await stateOf(id)
    const failing = db.atomically(async (tx) => {
      expect(await moveWithOrder(tx, change, moved(id))).toBeDefined()
      throw new Error('on purpose')
    })
    await expect(failing).rejects.toThrow('on purpose')
    expect(await stateOf(id)).toEqual(before)
    expect(await logOf(id)).toEqual([])
  })
})

test('an unknown payment is not moved', async () => {
  for (const change of changes) {
    const moved = { id: newId('pay'), cause: 'x', requestId: 'x', failure: FAILURE }
    expect(await db.atomically((tx) => movePayment(tx, change, moved))).toBeUndefined()
  }
})

test('a failed payment needs an error code', async () => {
  const id = await insertPayment('pending')
  const moving = db.atomically((tx) => movePayment(tx, 'failed', { id, cause: 'x', requestId: 'x' }))
  await expect(moving).rejects.toMatchObject({ constraint: 'payments_error_check' })
  expect(await logOf(id)).toEqual([])
})

const refundChanges = ['refund_processed', 'refund_failed'] as const

describe.each(refundChanges)('a refund is moved by %s', (change) => {
  test.each(['pending', 'processed', 'failed'])('only while it is pending: %s', async (status) => {
    const id = await insertRefund(status)
    const { paymentId } = (
      await query<{ paymentId: string }>('SELECT payment_id AS "paymentId" FROM refunds WHERE id = $1', [id])
    )[0]!
    const before = await stateOf(id)
    const paymentBefore = await stateOf(paymentId)
    const moved = { id, cause: 'a test', requestId: 'r-7', failure: FAILURE }
    const row = await db.atomically((tx) => moveRefund(tx, change, moved))
    if (status !== 'pending') {
      expect(row).toBeUndefined()
      expect([await stateOf(id), await stateOf(paymentId)]).toEqual([before, paymentBefore])
      expect(await logOf(paymentId)).toEqual([])
      return
    }
    const isFailed = change === 'refund_failed'
    expect(refundOnTheWire(row!)).toEqual(await findRefund(db, SEEDED_MERCHANT_ID, id))
    expect(row).toMatchObject({
      status: isFailed ? 'failed' : 'processed',
      errorCode: isFailed ? FAILURE.errorCode : null,
      errorDescription: isFailed ? FAILURE.errorDescription : null,
      processedAt: isFailed ? null : expect.any(Date),
    })
    expect(row!.updatedAt.getTime()).toBeGreaterThan(before.updated_at.getTime())
    expect(await logOf(paymentId)).toEqual([
      { change, refund_id: id, amount: 100, cause: 'a test', request_id: 'r-7' },
    ])
    // A failed refund's amount is available again, and updated_at of the payment shows the change.
    const payment = (await findPayment(db, SEEDED_MERCHANT_ID, paymentId))!
    expect(payment.refunded_amount).toBe(isFailed ? 0 : 100)
    const isLater = Date.parse(payment.updated_at) > paymentBefore.updated_at.getTime()
    expect(isLater).toBe(isFailed)
    for (const again of refundChanges) {
      expect(await db.atomically((tx) => moveRefund(tx, again, moved))).toBeUndefined()
    }
    expect(await logOf(paymentId)).toHaveLength(1)
  })
})

/** The state of a payment according to its log. */
function foldLog(log: readonly LogRow[]) {
  const state = {
    status: 'pending',
    captured: false,
    refunded_amount: 0,
    refunds: {} as Record<string, string>,
  }
  for (const { change, refund_id, amount } of log) {
    if (change === 'success' || change === 'failed') state.status = change
    if (change === 'captured') state.captured = true
    if (change === 'refund_created') state.refunded_amount += amount
    if (change === 'refund_failed') state.refunded_amount -= amount
    if (refund_id !== null)
      state.refunds[refund_id] = change.replace('refund_', '').replace('created', 'pending')
  }
  return state
}

test('any moves, concurrent or not, committed or rolled back, keep the row and its log equal', async () => {
  const enqueuer: Enqueuer = { willEnqueue: () => false, enqueue: () => {}, drain: async () => {} }
  const step = fc.record({
    change: fc.constantFrom(...changes, 'success' as const, 'refund' as const, ...refundChanges),
    amount: fc.integer({ min: 1, max: 700 }),
    /** The index of the refund. */
    which: fc.nat(5),
    rolledBack: fc.constantFrom(false, false, false, true),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.boolean(), async (steps, atOnce) => {
      const id = await insertPayment('pending')
      const refunds: string[] = []
      const take = async ({ change, amount, which, rolledBack }: (typeof steps)[number]) => {
        if (change === 'refund') {
          const request = { amount }
          const refund = {
            merchantId: SEEDED_MERCHANT_ID,
            paymentId: id,
            request,
            requestId: 'r',
            keyed: undefined,
          }
          const response = await createRefund({ db, refunds: enqueuer, webhooks: enqueuer }, refund).catch(
            (error) => {
              expect(error).toMatchObject({ code: 'BAD_REQUEST_ERROR' })
            },
          )
          if (response) refunds.push(JSON.parse(response.body).id)
          return
        }
        const moved = { cause: 'x', requestId: 'r', failure: FAILURE }
        const moving = db.atomically(async (tx) => {
          if (change === 'refund_processed' || change === 'refund_failed') {
            const refundId = refunds[which % Math.max(1, refunds.length)]
            if (refundId !== undefined) await moveRefund(tx, change, { id: refundId, ...moved })
          } else await moveWithOrder(tx, change, { id, ...moved })
          if (rolledBack) throw new Error('on purpose')
        })
        await moving.catch((error) => expect(error.message).toBe('on purpose'))
      }
      if (atOnce) await Promise.all(steps.map(take))
      else for (const one of steps) await take(one)
      const [row] = await query<object>(
        `SELECT status, captured, refunded_amount::float8,
                (SELECT coalesce(json_object_agg(r.id, r.status), '{}') FROM refunds r WHERE r.payment_id = p.id) AS refunds
         FROM payments p WHERE id = $1`,
        [id],
      )
      expect(row).toEqual(foldLog(await logOf(id)))
    }),
    { numRuns: volume(60) },
  )
})
