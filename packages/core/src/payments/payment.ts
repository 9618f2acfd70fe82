// A payment's row as statements and Prisma read it, and as the wire shows it.
import type { CardNetwork, Payment, PublicPayment } from '@sluice/contracts'

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

/** A PaymentRow, for SELECT and RETURNING. */
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
