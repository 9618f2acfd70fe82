// Reading external payments, their sums and their audit trails, in their wire form.
import {
  type ExternalPayment,
  type ExternalPaymentStatus,
  type ExternalPaymentsSummary,
  externalPaymentStatuses,
  isExternalId,
  type PageQuery,
  type PaymentEventRecord,
} from '@sluice/contracts'
import type { Database } from '../platform/database.ts'
import { foldEvent, judgeEvent, type PaymentEvent, type PaymentState } from './fold.ts'

type StatusFilter = ExternalPaymentStatus | undefined
const wanted = (status: StatusFilter) => (status === undefined ? externalPaymentStatuses : [status])

/** A page of payments, the last changed first. */
export async function listExternalPayments(
  db: Database,
  status: StatusFilter,
  { limit, offset }: PageQuery,
): Promise<ExternalPayment[]> {
  // One index serves all statuses: the first rows of each status contain the first rows of the whole list.
  const rows = await db.prisma.$queryRaw<PaymentRow[]>`
    SELECT p.payment_id, p.status, p.timestamp::float8, p.amount::float8, p.currency, p.user_id,
           p.refunded_amount::float8, p.created_at, p.updated_at, p.events_count
    FROM unnest(${wanted(status)}::text[]) AS wanted
    CROSS JOIN LATERAL (
      SELECT * FROM external_payments WHERE status = wanted ORDER BY updated_at DESC, payment_id
      LIMIT ${limit + offset}
    ) AS p
    ORDER BY p.updated_at DESC, p.payment_id LIMIT ${limit} OFFSET ${offset}`
  return rows.map((row) => ({
    ...row,
    event: `payment.${row.status}` as const,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }))
}

type PaymentRow = Omit<ExternalPayment, 'event' | 'created_at' | 'updated_at'> & {
  created_at: Date
  updated_at: Date
}

export const countExternalPayments = (db: Database, status: StatusFilter): Promise<number> =>
  db.prisma.externalPayment.count({ where: status === undefined ? {} : { status } })

/** The summary without any payments. */
export const noExternalPayments: ExternalPaymentsSummary = {
  counts: { pending: 0, completed: 0, failed: 0, refunded: 0 },
  totals: [],
}

/** Counts of every status; sums by currency for the status asked for, or for all. */
export async function summarizeExternalPayments(
  db: Database,
  status: StatusFilter,
): Promise<ExternalPaymentsSummary> {
  const totals = await db.prisma.$queryRaw<ExternalPaymentsSummary['totals']>`
    SELECT currency, status, count(*)::float8 AS count, sum(amount)::float8 AS amount,
           sum(refunded_amount)::float8 AS refunded_amount
    FROM external_payments GROUP BY currency, status ORDER BY currency, status`
  const counts = { ...noExternalPayments.counts }
  for (const total of totals) counts[total.status] += total.count
  return { counts, totals: totals.filter((total) => status === undefined || total.status === status) }
}

/** A page of the payment's audit trail, in order of arrival, and the number of its events; undefined if the payment is unknown. */
export async function findPaymentEvents(
  db: Database,
  paymentId: string,
  { limit, offset }: PageQuery,
): Promise<{ events: PaymentEventRecord[]; total: number } | undefined> {
  if (!isExternalId(paymentId)) return undefined
  const [payment, before, rows] = await db.prisma.$transaction(
    [
      db.prisma.externalPayment.findUnique({ where: { paymentId }, select: { eventsCount: true } }),
      db.prisma.paymentEvent.findMany({
        where: { paymentId, ordinal: { lte: offset } },
        orderBy: { ordinal: 'asc' },
        omit: { payload: true, paymentSnapshot: true },
      }),
      db.prisma.paymentEvent.findMany({
        where: { paymentId, ordinal: { gt: offset } },
        orderBy: { ordinal: 'asc' },
        take: limit,
        omit: { paymentSnapshot: true },
      }),
    ],
    { isolationLevel: 'RepeatableRead' },
  )
  if (payment === null) return undefined
  let known: PaymentState | undefined
  for (const row of before) known = foldEvent(known, eventOf(row))
  const events = rows.map((row) => {
    const event = eventOf(row)
    const verdict = judgeEvent(known, event)
    known = foldEvent(known, event)
    const { receivedAt, deliveries, payload } = row
    return { ...event, received_at: receivedAt.toISOString(), ...verdict, deliveries, payload }
  })
  return { events, total: payment.eventsCount }
}

interface EventRow {
  eventId: string
  status: string
  amount: bigint
  currency: string
  userId: string
  timestamp: bigint
}

const eventOf = (row: EventRow): PaymentEvent => ({
  event_id: row.eventId,
  event: `payment.${row.status as ExternalPaymentStatus}`,
  amount: Number(row.amount),
  currency: row.currency,
  user_id: row.userId,
  timestamp: Number(row.timestamp),
})
