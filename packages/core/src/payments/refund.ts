// A refund's row as SQL and Prisma read it, and its form on the wire.
import type { Refund } from '@sluice/contracts'

export interface RefundRow {
  id: string
  paymentId: string
  amount: number | bigint
  reason: string | null
  status: string
  errorCode: string | null
  errorDescription: string | null
  createdAt: Date
  updatedAt: Date
  processedAt: Date | null
}

/** The columns of a RefundRow, for SELECT and RETURNING. */
export const refundColumns = `
  id, payment_id AS "paymentId", amount::float8, reason, status, error_code AS "errorCode",
  error_description AS "errorDescription", created_at AS "createdAt", updated_at AS "updatedAt",
  processed_at AS "processedAt"`

export const refundOnTheWire = (row: RefundRow): Refund => ({
  id: row.id,
  payment_id: row.paymentId,
  amount: Number(row.amount),
  reason: row.reason,
  status: row.status as Refund['status'],
  error_code: row.errorCode,
  error_description: row.errorDescription,
  created_at: row.createdAt.toISOString(),
  updated_at: row.updatedAt.toISOString(),
  processed_at: row.processedAt?.toISOString() ?? null,
})
