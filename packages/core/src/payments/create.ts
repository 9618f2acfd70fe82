// Creating a payment: the row, its log entry and the answer in one commit; its job is rung for behind it.
import { type PaymentRequest, UNPAID_PAYMENTS_MAX } from '@sluice/contracts'
import type { Database, Tx } from '../platform/database.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { badRequest, notFound } from '../platform/errors.ts'
import { type KeyedRequest, type KeyedResponse, keyClaimOf, once } from '../platform/idempotency.ts'
import { insertWithNewId, isOwnId } from '../platform/ids.ts'
import { publish } from '../webhooks/index.ts'
import { type ReducedMethod, reduceMethod, refuseExpired } from './method.ts'
import { type PaymentRow, paymentColumns, paymentOnTheWire, publicPaymentOnTheWire } from './payment.ts'

export interface CreatePaymentDeps {
  db: Database
  payments: Enqueuer
  webhooks: Enqueuer
  /** Magic values count. */
  sandbox: boolean
}

export interface NewPayment {
  /** Undefined: a payer's, through the public route. */
  merchantId: string | undefined
  request: PaymentRequest
  requestId: string
  /** When the request has an Idempotency-Key. */
  keyed: KeyedRequest | undefined
}

/**
 * Answers 201 with the payment, as the merchant or as the payer sees it.
 * @throws NOT_FOUND_ERROR for an unknown order, BAD_REQUEST_ERROR for one that is paid, the codes of a wrong VPA or
 * card, and what `once` throws
 */
export async function createPayment(
  deps: CreatePaymentDeps,
  { merchantId, request, requestId, keyed }: NewPayment,
): Promise<KeyedResponse> {
  const { db, payments, webhooks } = deps
  const method = reduceMethod(request, deps)
  const orderId = request.order_id
  const owner = merchantId ?? (await findPayee(db, orderId))
  if (owner === undefined) {
    refuseExpiredCard(request)
    throw notFound('Order')
  }
  const isPublic = merchantId === undefined
  const claim = keyClaimOf(keyed, {
    merchantId: owner,
    scope: isPublic ? orderId : '',
    body: { orderId, ...method },
  })
  return once(db, claim, async (tx, afterCommit) => {
    refuseExpiredCard(request)
    const order = await findPayableOrder(tx, { orderId, merchantId: owner, isPublic })
    const row = await insertPayment(tx, {
      ...order,
      ...method,
      requestId,
      cause: isPublic ? 'payer' : 'merchant',
      enqueuesNow: payments.willEnqueue(),
    })
    afterCommit(() => payments.enqueue(row.id))
    const payment = paymentOnTheWire(row)
    const told = { merchantId: owner, data: { payment }, requestId }
    await publish(tx, { webhooks, afterCommit }, [
      { ...told, event: 'payment.created' },
      { ...told, event: 'payment.pending' },
    ])
    return { status: 201, body: JSON.stringify(isPublic ? publicPaymentOnTheWire(row) : payment) }
  })
}

function refuseExpiredCard({ method, card }: PaymentRequest): void {
  if (method === 'card' && card !== undefined) refuseExpired(card, new Date())
}

/** The merchant whom a payer of this order pays; undefined when there is no such order, or its merchant is not active. */
async function findPayee(db: Database, orderId: string): Promise<string | undefined> {
  if (!isOwnId('order', orderId)) return undefined
  const { rows } = await db.batch({
    name: 'find-payee',
    text: `
      SELECT m.id FROM orders o JOIN merchants m ON m.id = o.merchant_id AND m.is_active WHERE o.id = $1`,
    values: [orderId],
  })
  return rows[0]?.[0] as string | undefined
}

interface PayableOrder {
  orderId: string
  merchantId: string
  amount: number
  currency: string
}

/** Whoever pays it first is decided later, by the workers; here it is enough that nobody has yet. */
async function findPayableOrder(
  tx: Tx,
  { orderId, merchantId, isPublic }: { orderId: string; merchantId: string; isPublic: boolean },
): Promise<PayableOrder> {
  if (!isOwnId('order', orderId)) throw notFound('Order')
  const [order] = await tx.query<PayableOrder & { status: string }>({
    // Payers are counted under a lock of the order, so that those who pay at once count each other.
    name: isPublic ? 'lock-order-for-payer' : 'find-order-to-pay',
    text: `
      SELECT id AS "orderId", merchant_id AS "merchantId", amount::float8, currency, status
      FROM orders WHERE id = $1 AND merchant_id = $2 ${isPublic ? 'FOR NO KEY UPDATE' : ''}`,
    values: [orderId, merchantId],
  })
  if (order === undefined) throw notFound('Order')
  if (order.status === 'paid') {
    throw badRequest({ field: 'order_id', description: 'The order is already paid; it cannot be paid again' })
  }
  if (isPublic) await refuseTooMany(tx, orderId)
  const { amount, currency } = order
  return { orderId, merchantId, amount, currency }
}

async function refuseTooMany(tx: Tx, orderId: string): Promise<void> {
  const [count] = await tx.query<{ unpaid: number }>({
    name: 'count-unpaid-payments',
    text: `SELECT count(*)::int AS unpaid FROM payments WHERE order_id = $1 AND status <> 'success'`,
    values: [orderId],
  })
  if (count!.unpaid >= UNPAID_PAYMENTS_MAX) {
    throw badRequest({
      field: 'order_id',
      description: `The order has ${UNPAID_PAYMENTS_MAX} payments that failed or are not settled; no more can be made`,
    })
  }
}

interface Insertable extends PayableOrder, ReducedMethod {
  requestId: string
  cause: string
  /** Whether the caller rings for the row's job right behind the commit. */
  enqueuesNow: boolean
}

const insertPayment = (tx: Tx, payment: Insertable): Promise<PaymentRow> =>
  insertWithNewId('pay', async (id) => {
    const [row] = await tx.query<PaymentRow>({
      name: 'insert-payment',
      text: `
        WITH created AS (
          INSERT INTO payments (id, order_id, merchant_id, amount, currency, method, status, vpa, card_network,
                                card_last4, bank_scenario, request_id, enqueued_at)
          VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9, $10, $11, CASE WHEN $12::boolean THEN now() END)
          ON CONFLICT (id) DO NOTHING RETURNING *
        ), logged AS (
          INSERT INTO payment_log (payment_id, change, amount, cause, request_id)
          SELECT id, 'created', amount, $13, request_id FROM created
        )
        SELECT ${paymentColumns} FROM created`,
      values: [
        id,
        payment.orderId,
        payment.merchantId,
        payment.amount,
        payment.currency,
        payment.method,
        payment.vpa,
        payment.cardNetwork,
        payment.cardLast4,
        payment.scenario,
        payment.requestId,
        payment.enqueuesNow,
        payment.cause,
      ],
    })
    return row
  })
