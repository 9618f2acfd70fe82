// Creating a payment: its row, log entry and response are one commit; its job is enqueued after the commit.
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
  /** Whether magic cards and VPAs script the outcome. */
  sandbox: boolean
}

export interface NewPayment {
  /** Undefined for a payer, who uses the public route. */
  merchantId: string | undefined
  request: PaymentRequest
  requestId: string
  /** When the request has an Idempotency-Key. */
  keyed: KeyedRequest | undefined
}

/**
 * Responds 201 with the payment, as the merchant or the payer sees it.
 * @throws NOT_FOUND_ERROR for an unknown order, BAD_REQUEST_ERROR for a paid one, the codes of a wrong VPA or card,
 * and what `once` throws
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
    const publication = { merchantId: owner, data: { payment }, requestId }
    await publish(tx, { webhooks, afterCommit }, [
      { ...publication, event: 'payment.created' },
      { ...publication, event: 'payment.pending' },
    ])
    return { status: 201, body: JSON.stringify(isPublic ? publicPaymentOnTheWire(row) : payment) }
  })
}

function refuseExpiredCard({ method, card }: PaymentRequest): void {
  if (method === 'card' && card !== undefined) refuseExpired(card, new Date())
}

/** The id of the order's active merchant, or undefined. */
async function findPayee(db: Database, orderId: string): Promise<string | undefined> {
  if (!isOwnId('order', orderId)) return undefined
  const [payee] = await db.query<{ id: string }>({
    name: 'find-payee',
    text: `
      SELECT m.id FROM orders o JOIN merchants m ON m.id = o.merchant_id AND m.is_active WHERE o.id = $1`,
    values: [orderId],
  })
  return payee?.id
}

interface PayableOrder {
  orderId: string
  merchantId: string
  amount: number
  currency: string
}

/** Refuses an order that is already paid. Which of several open payments pays it is decided by the workers. */
async function findPayableOrder(
  tx: Tx,
  { orderId, merchantId, isPublic }: { orderId: string; merchantId: string; isPublic: boolean },
): Promise<PayableOrder> {
  if (!isOwnId('order', orderId)) throw notFound('Order')
  const [order] = await tx.query<PayableOrder & { status: string }>({
    // The lock makes payers of one order take turns, so that concurrent payments count each other.
    name: isPublic ? 'lock-order-for-payer' : 'find-order-to-pay',
    text: `
      SELECT id AS "orderId", merchant_id AS "merchantId", amount::float8, currency, status
      FROM orders WHERE id = $1 AND merchant_id = $2 ${isPublic ? 'FOR NO KEY UPDATE' : ''}`,
    values: [orderId, merchantId],
  })
  if (order === undefined) throw notFound('Order')
  if (order.status === 'paid') {
    throw badRequest({
      field: 'order_id',
      description: 'order_id must name an unpaid order; this one is already paid',
    })
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
      description: `order_id must name an order with fewer than ${UNPAID_PAYMENTS_MAX} failed or unsettled payments; this one has no attempts left`,
    })
  }
}

interface PaymentInsert extends PayableOrder, ReducedMethod {
  requestId: string
  cause: string
  /** Whether the caller enqueues the row right after the commit. */
  enqueuesNow: boolean
}

const insertPayment = (tx: Tx, payment: PaymentInsert): Promise<PaymentRow> =>
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
