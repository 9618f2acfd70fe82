// Creating an order.
import { currencyProblem, NOTES_BYTES_MAX, ORDER_AMOUNT_MIN, type OrderRequest } from '@sluice/contracts'
import type { Database } from '../platform/database.ts'
import { badRequest } from '../platform/errors.ts'
import { type KeyedRequest, type KeyedResponse, keyClaimOf, once } from '../platform/idempotency.ts'
import { insertWithNewId } from '../platform/ids.ts'
import { type OrderRow, orderColumns, orderOnTheWire } from './order.ts'

export interface NewOrder {
  merchantId: string
  order: OrderRequest
  /** When the request has an Idempotency-Key. */
  keyed: KeyedRequest | undefined
}

/** Responds 201 with the order. @throws BAD_REQUEST_ERROR, and what `once` throws */
export async function createOrder(
  { db }: { db: Database },
  { merchantId, order, keyed }: NewOrder,
): Promise<KeyedResponse> {
  const { amount, currency, receipt = null, notes } = order
  if (amount < ORDER_AMOUNT_MIN) {
    throw badRequest({ field: 'amount', description: `amount must be at least ${ORDER_AMOUNT_MIN}` })
  }
  const problem = currencyProblem(currency)
  if (problem !== undefined) throw badRequest(problem)
  const notesText = notesAsText(notes)
  const body = { amount, currency, receipt, notes }
  return once(db, keyClaimOf(keyed, { merchantId, body }), async (tx) => {
    const row = await insertWithNewId('order', async (id) => {
      const [inserted] = await tx.query<OrderRow>({
        name: 'insert-order',
        text: `
          INSERT INTO orders (id, merchant_id, amount, currency, receipt, notes) VALUES ($1, $2, $3, $4, $5, $6)
          ON CONFLICT (id) DO NOTHING RETURNING ${orderColumns}`,
        values: [id, merchantId, amount, currency, receipt, notesText],
      })
      return inserted
    })
    return { status: 201, body: JSON.stringify(orderOnTheWire({ ...row, notes })) }
  })
}

/** PostgreSQL and JSON.stringify fail on JSON that is nested too deeply for their stacks. */
const NOTES_DEPTH_MAX = 100

function notesAsText(notes: object): string {
  if (isDeeperThan(notes, NOTES_DEPTH_MAX)) {
    throw badRequest({
      field: 'notes',
      description: `notes must be nested at most ${NOTES_DEPTH_MAX} levels deep`,
    })
  }
  if (hasInexactNumber(notes)) {
    throw badRequest({
      field: 'notes',
      description: `numbers in notes must be between -${Number.MAX_SAFE_INTEGER} and ${Number.MAX_SAFE_INTEGER}; send others as strings`,
    })
  }
  const text = JSON.stringify(notes)
  if (Buffer.byteLength(text) > NOTES_BYTES_MAX) {
    throw badRequest({
      field: 'notes',
      description: `notes must be at most ${NOTES_BYTES_MAX} bytes as JSON; they are ${Buffer.byteLength(text)}`,
    })
  }
  return text
}

/** Whether the text contains a number that is too large for a double to keep all its digits. */
const hasInexactNumber = (value: unknown): boolean =>
  typeof value === 'number'
    ? Math.abs(value) > Number.MAX_SAFE_INTEGER
    : typeof value === 'object' && value !== null && Object.values(value).some(hasInexactNumber)

const isDeeperThan = (value: unknown, depth: number): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (depth === 0 || Object.values(value).some((inner) => isDeeperThan(inner, depth - 1)))
