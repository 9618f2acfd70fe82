// The sum of a payment's refunds, which the database keeps correct after any concurrent or sequential writes.
import { createDatabase, SEEDED_MERCHANT_ID, type TestDatabase, volume } from '@sluice/testing'
import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'

let database: TestDatabase
let client: pg.Client
beforeAll(async () => {
  database = await createDatabase(inject('postgresUrl'))
  client = await database.session()
})
afterAll(async () => {
  await client?.end()
  await database?.drop()
})

const AMOUNT = 1000
let serial = 1
const newId = (prefix: string) => `${prefix}_${String(serial++).padStart(16, '0')}`

async function insertPaidPayment(): Promise<string> {
  const [order, payment] = [newId('order'), newId('pay')]
  await client.query(`
    BEGIN;
    INSERT INTO orders (id, merchant_id, amount) VALUES ('${order}', '${SEEDED_MERCHANT_ID}', ${AMOUNT});
    INSERT INTO payments (id, order_id, merchant_id, amount, method, vpa, status, settled_at)
      VALUES ('${payment}', '${order}', '${SEEDED_MERCHANT_ID}', ${AMOUNT}, 'upi', 'a@b', 'success', now());
    UPDATE orders SET status = 'paid', claimed_by = '${payment}' WHERE id = '${order}';
    COMMIT`)
  return payment
}

interface Refund {
  id: string
  amount: number
  status: 'pending' | 'processed' | 'failed'
}

const ends = {
  pending: 'NULL, NULL, NULL',
  processed: 'now(), now(), NULL',
  failed: `now(), NULL, 'X'`,
}
const insertRefunds = (payment: string, refunds: readonly Refund[]) =>
  `INSERT INTO refunds (id, payment_id, merchant_id, amount, status, settled_at, processed_at, error_code) VALUES ${refunds
    .map(
      ({ id, amount, status }) =>
        `('${id}', '${payment}', '${SEEDED_MERCHANT_ID}', ${amount}, '${status}', ${ends[status]})`,
    )
    .join()}`
const endRefund = (id: string, status: Refund['status']) =>
  `UPDATE refunds SET status = '${status}', (settled_at, processed_at, error_code) = ROW(${ends[status]}) WHERE id = '${id}'`

const sumOf = (refunds: readonly Refund[]) =>
  refunds.reduce((sum, { amount, status }) => sum + (status === 'failed' ? 0 : amount), 0)

/** The payment's refunded amount, and the sum of its refunds. */
async function sums(payment: string): Promise<{ kept: number; counted: number }> {
  const { rows } = await client.query<{ kept: number; counted: number }>(
    `SELECT refunded_amount::int AS kept, (SELECT coalesce(sum(amount), 0)::int FROM refunds r
       WHERE r.payment_id = p.id AND r.status <> 'failed') AS counted FROM payments p WHERE id = $1`,
    [payment],
  )
  return rows[0]!
}

const amounts = fc.integer({ min: 1, max: 600 })
const which = fc.nat(9)
const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      is: fc.constant('insert' as const),
      status: fc.constantFrom(
        'pending' as const,
        'pending' as const,
        'processed' as const,
        'failed' as const,
      ),
      amounts: fc.array(amounts, { minLength: 1, maxLength: 3 }),
    }),
  },
  fc.record({ is: fc.constant('change' as const), which, to: amounts }),
  fc.record({ is: fc.constantFrom('processed' as const, 'failed' as const, 'delete' as const), which }),
  fc.record({ is: fc.constant('delete all' as const) }),
  fc.record({ is: fc.constant('write the sum' as const), to: fc.nat(AMOUNT) }),
)

/** A statement, the expected refunds after it, and the constraint that refuses it, if any. */
interface Step {
  text: string
  next: Refund[]
  refusedBy: string | undefined
}

function stepOf(
  payment: string,
  model: readonly Refund[],
  op: typeof operation extends fc.Arbitrary<infer T> ? T : never,
): Step | undefined {
  const next = structuredClone(model) as Refund[]
  const mine = 'which' in op ? next[op.which % Math.max(1, next.length)] : undefined
  if ('which' in op && mine === undefined) return undefined
  const within = () => (sumOf(next) <= AMOUNT ? undefined : 'payments_refunded_check')
  switch (op.is) {
    case 'insert': {
      const rows = op.amounts.map((amount) => ({ id: newId('rfnd'), amount, status: op.status }))
      next.push(...rows)
      return { text: insertRefunds(payment, rows), next, refusedBy: within() }
    }
    case 'change': {
      const text = `UPDATE refunds SET amount = ${op.to} WHERE id = '${mine!.id}'`
      return { text, next, refusedBy: mine!.amount === op.to ? undefined : 'refund_for_good' }
    }
    case 'processed':
    case 'failed':
      if (mine!.status !== 'pending') return undefined // settled for good, in money-constraints.int.test.ts
      mine!.status = op.is
      return { text: endRefund(mine!.id, op.is), next, refusedBy: undefined }
    case 'delete':
      return {
        text: `DELETE FROM refunds WHERE id = '${mine!.id}'`,
        next: next.filter((refund) => refund !== mine),
        refusedBy: undefined,
      }
    case 'delete all':
      return { text: `DELETE FROM refunds WHERE payment_id = '${payment}'`, next: [], refusedBy: undefined }
    case 'write the sum': {
      const text = `UPDATE payments SET refunded_amount = ${op.to} WHERE id = '${payment}'`
      return { text, next, refusedBy: sumOf(next) === op.to ? undefined : 'refunded_stays_counted' }
    }
  }
}

test('the sum stays correct and within the payment after any writes; a wrong statement is refused as a whole', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 30 }), async (operations) => {
      const payment = await insertPaidPayment()
      /** The expected refunds. */
      let model: Refund[] = []
      for (const op of operations) {
        const step = stepOf(payment, model, op)
        if (step === undefined) continue
        const refusal = await client.query(step.text).then(
          () => undefined,
          (error) => error.constraint,
        )
        expect(refusal).toBe(step.refusedBy)
        if (refusal === undefined) model = step.next
        expect(await sums(payment)).toEqual({ kept: sumOf(model), counted: sumOf(model) })
      }
    }),
    { numRuns: volume(60) },
  )
})

test('the sum stays correct with 20 concurrent sessions: refunds that fit are accepted, all others refused', async () => {
  const payment = await insertPaidPayment()
  const sessions = await Promise.all(Array.from({ length: 20 }, () => database.session()))
  const outcomes: string[] = []
  await Promise.all(
    sessions.map(async (session, s) => {
      const attempt = async (text: string) =>
        outcomes.push(
          await session.query(text).then(
            () => 'accepted',
            (error) => String(error.constraint),
          ),
        )
      const refund = () => {
        const id = newId('rfnd')
        return { id, insert: insertRefunds(payment, [{ id, amount: 70, status: 'pending' }]) }
      }
      await session.query('BEGIN')
      await session.query(refund().insert).catch(() => {})
      await session.query('ROLLBACK')
      const refunds = Array.from({ length: 5 }, refund)
      for (const { insert } of refunds) await attempt(insert)
      await session.query(`UPDATE payments SET refunded_amount = 1 WHERE id = '${payment}'`).then(
        () => outcomes.push('another sum'),
        (error) => expect(error.constraint).toBe('refunded_stays_counted'),
      )
      // In every fourth session one refund fails, and its amount is available again.
      if (s % 4 === 0) {
        await session.query(endRefund(refunds[0]!.id, 'failed'))
        await attempt(refund().insert)
      }
    }),
  )
  await Promise.all(sessions.map((session) => session.end()))
  const { kept, counted } = await sums(payment)
  expect(kept).toBe(counted)
  expect(counted).toBeLessThanOrEqual(AMOUNT)
  expect(new Set(outcomes)).toEqual(new Set(['accepted', 'payments_refunded_check']))
  const accepted = outcomes.filter((outcome) => outcome === 'accepted').length
  expect(accepted).toBeGreaterThanOrEqual(Math.floor(AMOUNT / 70))
})
