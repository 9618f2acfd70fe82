// Reading orders, for merchants and payers.
import type { Order, PageQuery, PublicOrder } from '@sluice/contracts'
import { type Database, FIND_TIMEOUT_MS } from '../platform/database.ts'
import { unavailable } from '../platform/errors.ts'
import { isOwnId } from '../platform/ids.ts'
import { withTimeout } from '../platform/with-timeout.ts'
import { orderOnTheWire } from './order.ts'

/** The merchant's order, or undefined. Another merchant's order is undefined too. */
export async function findOrder(db: Database, merchantId: string, id: string): Promise<Order | undefined> {
  if (!isOwnId('order', id)) return undefined
  const row = await db.prisma.order.findFirst({ where: { id, merchantId } })
  return row === null ? undefined : orderOnTheWire(row)
}

/** A page of the merchant's orders, newest first, and the total count. */
export async function listOrders(
  db: Database,
  merchantId: string,
  page: PageQuery,
): Promise<{ data: Order[]; total: number }> {
  const [rows, total] = await Promise.all([
    db.prisma.order.findMany({
      where: { merchantId },
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
      take: page.limit,
      skip: page.offset,
    }),
    db.prisma.order.count({ where: { merchantId } }),
  ])
  return { data: rows.map(orderOnTheWire), total }
}

/** The payer's view of an order; undefined when it is unknown or its merchant is inactive. */
export async function findPublicOrder(db: Database, id: string): Promise<PublicOrder | undefined> {
  if (!isOwnId('order', id)) return undefined
  const row = await withTimeout(
    FIND_TIMEOUT_MS,
    db.prisma.order.findFirst({
      where: { id, merchant: { isActive: true } },
      select: { id: true, amount: true, currency: true, status: true },
    }),
    unavailable,
  )
  return row === null
    ? undefined
    : { ...row, amount: Number(row.amount), status: row.status as PublicOrder['status'] }
}
