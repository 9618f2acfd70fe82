// An order's row as SQL and Prisma read it, and its form on the wire.
import type { Order } from '@sluice/contracts'

export interface OrderRow {
  id: string
  merchantId: string
  amount: number | bigint
  currency: string
  receipt: string | null
  notes: unknown
  status: string
  createdAt: Date
  updatedAt: Date
}

/** The columns of an OrderRow, for RETURNING. */
export const orderColumns = `
  id, merchant_id AS "merchantId", amount::float8, currency, receipt, notes, status,
  created_at AS "createdAt", updated_at AS "updatedAt"`

export const orderOnTheWire = (row: OrderRow): Order => ({
  id: row.id,
  merchant_id: row.merchantId,
  amount: Number(row.amount),
  currency: row.currency,
  receipt: row.receipt,
  notes: row.notes as Order['notes'],
  status: row.status as Order['status'],
  created_at: row.createdAt.toISOString(),
  updated_at: row.updatedAt.toISOString(),
})
