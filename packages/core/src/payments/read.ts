// Reading payments, refunds and timelines, for merchants and payers.
import type {
  PageQuery,
  Payment,
  PaymentChange,
  PaymentsQuery,
  PublicPayment,
  Refund,
  TimelineEntry,
} from '@sluice/contracts'
import type { Prisma } from '../generated/client.ts'
import { type Database, FIND_TIMEOUT_MS } from '../platform/database.ts'
import { unavailable } from '../platform/errors.ts'
import { isOwnId } from '../platform/ids.ts'
import { parseTimestamp } from '../platform/timestamps.ts'
import { withTimeout } from '../platform/with-timeout.ts'
import { paymentOnTheWire, publicPaymentOnTheWire } from './payment.ts'
import { refundOnTheWire } from './refund.ts'

/** The merchant's payment, or undefined. Another merchant's payment is undefined too. */
export async function findPayment(
  db: Database,
  merchantId: string,
  id: string,
): Promise<Payment | undefined> {
  if (!isOwnId('pay', id)) return undefined
  const row = await db.prisma.payment.findFirst({ where: { id, merchantId } })
  return row === null ? undefined : paymentOnTheWire(row)
}

/** The payer's view of a payment; undefined when it is unknown or its merchant is inactive. */
export async function findPublicPayment(db: Database, id: string): Promise<PublicPayment | undefined> {
  if (!isOwnId('pay', id)) return undefined
  const row = await withTimeout(
    FIND_TIMEOUT_MS,
    db.prisma.payment.findFirst({ where: { id, merchant: { isActive: true } } }),
    unavailable,
  )
  return row === null ? undefined : publicPaymentOnTheWire(row)
}

/** A page of the merchant's payments, newest first, and the total count. @throws BAD_REQUEST_ERROR */
export async function listPayments(
  db: Database,
  merchantId: string,
  query: PaymentsQuery,
): Promise<{ data: Payment[]; total: number }> {
  const where = paymentFilter(merchantId, query)
  const [rows, total] = await Promise.all([
    db.prisma.payment.findMany({
      where,
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
      take: query.limit,
      skip: query.offset,
    }),
    db.prisma.payment.count({ where }),
  ])
  return { data: rows.map(paymentOnTheWire), total }
}

function paymentFilter(merchantId: string, query: PaymentsQuery): Prisma.PaymentWhereInput {
  const { status, method, order_id: orderId, search } = query
  const createdAt = {
    ...(query.from === undefined ? {} : { gte: parseTimestamp('from', query.from) }),
    ...(query.to === undefined ? {} : upTo(query.to)),
  }
  // In `contains` Prisma passes % and _ on to LIKE as wildcards.
  const text = { contains: search?.replaceAll(/[\\%_]/g, '\\$&') ?? '', mode: 'insensitive' as const }
  return {
    merchantId,
    createdAt,
    ...(status === undefined ? {} : { status }),
    ...(method === undefined ? {} : { method }),
    ...(orderId === undefined ? {} : { orderId: isOwnId('order', orderId) ? orderId : '' }),
    ...(search === undefined || search === ''
      ? {}
      : { OR: [{ id: text }, { orderId: text }, { vpa: text }, { cardLast4: search }] }),
  }
}

const DAY_MS = 24 * 60 * 60 * 1000

/** Up to the end of a day, or up to a timestamp, inclusive. */
const upTo = (to: string) =>
  to.length === '2024-01-15'.length
    ? { lt: new Date(parseTimestamp('to', to).getTime() + DAY_MS) }
    : { lte: parseTimestamp('to', to) }

/** A page of the payment's timeline, oldest first; undefined for an unknown payment. */
export async function readTimeline(
  db: Database,
  merchantId: string,
  paymentId: string,
  page: PageQuery,
): Promise<{ data: TimelineEntry[]; total: number } | undefined> {
  if ((await findPayment(db, merchantId, paymentId)) === undefined) return undefined
  const [rows, total] = await Promise.all([
    db.prisma.paymentLog.findMany({
      where: { paymentId },
      orderBy: { id: 'asc' },
      take: page.limit,
      skip: page.offset,
    }),
    db.prisma.paymentLog.count({ where: { paymentId } }),
  ])
  const data = rows.map((row) => ({
    at: row.at.toISOString(),
    change: row.change as PaymentChange,
    amount: Number(row.amount),
    refund_id: row.refundId,
    cause: row.cause,
    request_id: row.requestId,
  }))
  return { data, total }
}

/** A page of the payment's refunds, newest first; undefined for an unknown payment. */
export async function listRefunds(
  db: Database,
  merchantId: string,
  paymentId: string,
  page: PageQuery,
): Promise<{ data: Refund[]; total: number } | undefined> {
  if ((await findPayment(db, merchantId, paymentId)) === undefined) return undefined
  const [rows, total] = await Promise.all([
    db.prisma.refund.findMany({
      where: { paymentId },
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
      take: page.limit,
      skip: page.offset,
    }),
    db.prisma.refund.count({ where: { paymentId } }),
  ])
  return { data: rows.map(refundOnTheWire), total }
}

/** The merchant's refund, or undefined. Another merchant's refund is undefined too. */
export async function findRefund(db: Database, merchantId: string, id: string): Promise<Refund | undefined> {
  if (!isOwnId('rfnd', id)) return undefined
  const row = await db.prisma.refund.findFirst({ where: { id, merchantId } })
  return row === null ? undefined : refundOnTheWire(row)
}
