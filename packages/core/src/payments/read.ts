// Reading payments, refunds and their history, as their merchant and as their payers.
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

/** The merchant's payment, or undefined when there is none of that id, or it is somebody else's. */
export async function findPayment(
  db: Database,
  merchantId: string,
  id: string,
): Promise<Payment | undefined> {
  if (!isOwnId('pay', id)) return undefined
  const row = await db.prisma.payment.findFirst({ where: { id, merchantId } })
  return row === null ? undefined : paymentOnTheWire(row)
}

/** What a payer may see of a payment; undefined when there is none, or its merchant is not active. */
export async function findPublicPayment(db: Database, id: string): Promise<PublicPayment | undefined> {
  if (!isOwnId('pay', id)) return undefined
  const row = await withTimeout(
    FIND_TIMEOUT_MS,
    db.prisma.payment.findFirst({ where: { id, merchant: { isActive: true } } }),
    unavailable,
  )
  return row === null ? undefined : publicPaymentOnTheWire(row)
}

/** A page of the merchant's payments, newest first, and how many there are in all. @throws BAD_REQUEST_ERROR */
export async function listPayments(
  db: Database,
  merchantId: string,
  query: PaymentsQuery,
): Promise<{ data: Payment[]; total: number }> {
  const where = wanted(merchantId, query)
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

function wanted(merchantId: string, query: PaymentsQuery): Prisma.PaymentWhereInput {
  const { status, method, order_id: orderId, search } = query
  const createdAt = {
    ...(query.from === undefined ? {} : { gte: parseTimestamp('from', query.from) }),
    ...(query.to === undefined ? {} : dayOrMoment(query.to)),
  }
  // Prisma takes % and _ in `contains` as what LIKE makes of them.
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

/** Until the end of a day, or until a moment, that one included. */
const dayOrMoment = (to: string) =>
  to.length === '2024-01-15'.length
    ? { lt: new Date(parseTimestamp('to', to).getTime() + DAY_MS) }
    : { lte: parseTimestamp('to', to) }

/** A page of the payment's history, oldest first; undefined for an unknown payment. */
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

/** The merchant's refund, or undefined when there is none of that id, or it is somebody else's. */
export async function findRefund(db: Database, merchantId: string, id: string): Promise<Refund | undefined> {
  if (!isOwnId('rfnd', id)) return undefined
  const row = await db.prisma.refund.findFirst({ where: { id, merchantId } })
  return row === null ? undefined : refundOnTheWire(row)
}
