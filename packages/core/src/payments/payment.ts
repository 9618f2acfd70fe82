// A payment's row as SQL and Prisma read it, and its form on the wire.
import type { CardNetwork, Payment, PublicPayment } from '@sluice/contracts'
import type { Tx } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { isOwnId } from '../platform/ids.ts'

export interface PaymentRow {
  id: string
  orderId: string
  amount: number | bigint
  currency: string
  method: string
  status: string
  vpa: string | null
  cardNetwork: string | null
  cardLast4: string | null
  errorCode: string | null
  errorDescription: string | null
  captured: boolean
  refundedAmount: number | bigint
  createdAt: Date
  updatedAt: Date
}

/** The columns of a PaymentRow, for SELECT and RETURNING. */
export const paymentColumns = `
  id, order_id AS "orderId", amount::float8, currency, method, status, vpa, card_network AS "cardNetwork",
  card_last4 AS "cardLast4", error_code AS "errorCode", error_description AS "errorDescription", captured,
  refunded_amount::float8 AS "refundedAmount", created_at AS "createdAt", updated_at AS "updatedAt"`

export const paymentOnTheWire = (row: PaymentRow): Payment => ({
  id: row.id,
  order_id: row.orderId,
  amount: Number(row.amount),
  currency: row.currency,
  method: row.method as Payment['method'],
  ...(row.vpa === null ? {} : { vpa: row.vpa }),
  ...(row.cardNetwork === null ? {} : { card_network: row.cardNetwork as CardNetwork }),
  ...(row.cardLast4 === null ? {} : { card_last4: row.cardLast4 }),
  status: row.status as Payment['status'],
  captured: row.captured,
  refunded_amount: Number(row.refundedAmount),
  error_code: row.errorCode,
  error_description: row.errorDescription,
  created_at: row.createdAt.toISOString(),
  updated_at: row.updatedAt.toISOString(),
})

export const publicPaymentOnTheWire = (row: PaymentRow): PublicPayment => ({
  id: row.id,
  order_id: row.orderId,
  amount: Number(row.amount),
  currency: row.currency,
  method: row.method as Payment['method'],
  status: row.status as Payment['status'],
  error_code: row.errorCode,
  error_description: row.errorDescription,
})

/** The merchant's payment, locked until the transaction ends. @throws NOT_FOUND_ERROR */
export async function lockPayment(tx: Tx, merchantId: string, paymentId: string): Promise<PaymentRow> {
  if (!isOwnId('pay', paymentId)) throw notFound('Payment')
  const [payment] = await tx.query<PaymentRow>({
    name: 'lock-payment',
    text: `SELECT ${paymentColumns} FROM payments WHERE id = $1 AND merchant_id = $2 FOR NO KEY UPDATE`,
    values: [paymentId, merchantId],
  })
  if (payment === undefined) throw notFound('Payment')
  return payment
}

/** A refund's payment, as the transaction sees it. */
export async function readPayment(tx: Tx, paymentId: string): Promise<Payment> {
  const [row] = await tx.query<PaymentRow>({
    name: 'read-payment',
    text: `SELECT ${paymentColumns} FROM payments WHERE id = $1`,
    values: [paymentId],
  })
  return paymentOnTheWire(row!)
}
