// What a commit of payment events reads and writes: the payments locked, the events, the folded payments.
import type { ExternalPaymentStatus, PaymentEventRequest } from '@sluice/contracts'
import type { InboundEvent } from '../inbound/index.ts'
import type { Database, Statement } from '../platform/database.ts'
import { textArray } from '../platform/text-array.ts'
import { type PaymentState, refundedAmount } from './fold.ts'

export interface InboundPaymentEvent extends PaymentEventRequest, InboundEvent {}

/** A payment in the course of a commit. */
export interface PaymentEntry {
  paymentId: string
  /** Whether it was there before this commit. */
  exists: boolean
  state: PaymentState
  createdAtMs: number
  updatedAtMs: number
}

/** A new event with what the commit found out about it. */
export interface FoldedEvent {
  event: InboundPaymentEvent
  /** Its position among the events of its payment, from 1. */
  ordinal: number
  status: ExternalPaymentStatus
  statusChanged: boolean
  snapshot: string
  /** How often it came within this commit. */
  times: number
}

/** An event that is stored already, and the status of its payment. */
export interface KnownEvent extends PaymentEventRequest {
  paymentStatus: ExternalPaymentStatus
}

export async function readKnownEvents(
  db: Database,
  eventIds: readonly string[],
): Promise<Map<string, KnownEvent>> {
  const { rows } = await db.batch({
    name: 'known-payment-events',
    text: `
      SELECT e.event_id, e.payment_id, 'payment.' || e.status, e.amount::float8, e.currency, e.user_id,
             e.timestamp::float8, p.status
      FROM payment_events e JOIN external_payments p USING (payment_id) WHERE e.event_id = ANY($1::text[])`,
    values: [textArray(eventIds, (id) => id)],
  })
  type Row = [string, string, KnownEvent['event'], number, string, string, number, ExternalPaymentStatus]
  return new Map(
    (rows as Row[]).map(
      ([event_id, payment_id, event, amount, currency, user_id, timestamp, paymentStatus]) => [
        event_id,
        { event_id, payment_id, event, amount, currency, user_id, timestamp, paymentStatus },
      ],
    ),
  )
}

/** Locks the existing ones of these payments, in order of id so that two commits cannot deadlock. There is always one row, with the time of the commit. */
export const lockPayments = (paymentIds: readonly string[]): Statement => ({
  name: 'lock-external-payments',
  text: `
    WITH locked AS (
      SELECT payment_id, status, event_id, timestamp::float8, terms_status, terms_event_id,
             terms_timestamp::float8, amount::float8, currency, user_id, refunds, events_count,
             extract(epoch FROM created_at)::float8 * 1000, extract(epoch FROM updated_at)::float8 * 1000
      FROM external_payments WHERE payment_id = ANY($1::text[]) ORDER BY payment_id FOR UPDATE
    )
    SELECT extract(epoch FROM now())::float8 * 1000, (SELECT nextval('external_payment_changes'))::text, locked.*
    FROM (SELECT 1) AS one LEFT JOIN locked ON true`,
  values: [textArray(paymentIds, (id) => id)],
})

/** The rows of `lockPayments`. */
export function readLocked(rows: readonly unknown[][]): {
  nowMs: number
  payments: Map<string, PaymentEntry>
} {
  const nowMs = Math.floor(rows[0]![0] as number)
  const payments = new Map<string, PaymentEntry>()
  for (const row of rows) {
    if (row[2] === null) break
    const entry = entryOf(row.slice(2) as LockedRow)
    payments.set(entry.paymentId, entry)
  }
  return { nowMs, payments }
}

type LockedRow = [
  paymentId: string,
  status: ExternalPaymentStatus,
  eventId: string,
  timestamp: number,
  termsStatus: ExternalPaymentStatus,
  termsEventId: string,
  termsTimestamp: number,
  amount: number,
  currency: string,
  userId: string,
  refunds: Record<string, string>,
  eventsCount: number,
  createdAtMs: number,
  updatedAtMs: number,
]

function entryOf(row: LockedRow): PaymentEntry {
  const [paymentId, status, eventId, timestamp, termsStatus, termsEventId, termsTimestamp] = row
  const [, , , , , , , amount, currency, userId, refunds, eventsCount, createdAtMs, updatedAtMs] = row
  return {
    paymentId,
    exists: true,
    state: {
      deciding: { status, eventId, timestamp },
      terms: {
        status: termsStatus,
        eventId: termsEventId,
        timestamp: termsTimestamp,
        amount,
        currency,
        userId,
      },
      refunds: Object.fromEntries(Object.entries(refunds).map(([code, sum]) => [code, BigInt(sum)])),
      eventsCount,
    },
    createdAtMs: Math.round(createdAtMs),
    updatedAtMs: Math.round(updatedAtMs),
  }
}

/** No ON CONFLICT: if another commit inserted one of them meanwhile, the key refuses this whole commit. Sorted, as every multi-row insert. */
export const insertPayments = (payments: readonly PaymentEntry[]): Statement => ({
  name: 'insert-external-payments',
  text: `
    INSERT INTO external_payments (${paymentColumns}, created_at)
    SELECT ${paymentValues}, to_timestamp($15::float8 / 1000)`,
  values: [...paymentArrays(payments.toSorted(byPaymentId)), payments[0]?.createdAtMs ?? 0],
})

/** This commit holds the locks of the rows, so their state is the one that was read. */
export const updatePayments = (payments: readonly PaymentEntry[]): Statement => ({
  name: 'update-external-payments',
  text: `
    UPDATE external_payments AS p SET (${paymentColumns}) = (${paymentColumns
      .split(', ')
      .map((column) => `u.${column}`)
      .join(', ')})
    FROM (SELECT ${paymentValues}) AS u (${paymentColumns}) WHERE p.payment_id = u.payment_id`,
  values: paymentArrays(payments),
})

const paymentColumns =
  'payment_id, status, event_id, timestamp, amount, currency, user_id, terms_status, terms_event_id, terms_timestamp, refunds, refunded_amount, events_count, updated_at'

const paymentValues = `
  unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[])::int8, unnest($5::text[])::int8,
  unnest($6::text[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::text[])::int8,
  unnest($11::text[])::jsonb, unnest($12::text[])::int8, unnest($13::text[])::int4,
  to_timestamp(unnest($14::text[])::float8 / 1000)`

const paymentArrays = (payments: readonly PaymentEntry[]) => [
  textArray(payments, ({ paymentId }) => paymentId),
  textArray(payments, ({ state }) => state.deciding.status),
  textArray(payments, ({ state }) => state.deciding.eventId),
  textArray(payments, ({ state }) => String(state.deciding.timestamp)),
  textArray(payments, ({ state }) => String(state.terms.amount)),
  textArray(payments, ({ state }) => state.terms.currency),
  textArray(payments, ({ state }) => state.terms.userId),
  textArray(payments, ({ state }) => state.terms.status),
  textArray(payments, ({ state }) => state.terms.eventId),
  textArray(payments, ({ state }) => String(state.terms.timestamp)),
  textArray(payments, ({ state }) => refundsText(state)),
  textArray(payments, ({ state }) => String(refundedAmount(state))),
  textArray(payments, ({ state }) => String(state.eventsCount)),
  textArray(payments, ({ updatedAtMs }) => String(updatedAtMs)),
]

function refundsText({ refunds }: PaymentState): string {
  const sums = Object.entries(refunds)
  return sums.length === 0
    ? '{}'
    : JSON.stringify(Object.fromEntries(sums.map(([code, sum]) => [code, String(sum)])))
}

/** Plain and sorted, too. `enqueueNow`: their jobs are added right behind the commit. */
export function insertEvents(events: readonly FoldedEvent[], enqueueNow: boolean): Statement {
  const sorted = events.toSorted((a, b) => compare(a.event.event_id, b.event.event_id))
  return {
    name: 'insert-payment-events',
    text: `
      INSERT INTO payment_events (event_id, payment_id, ordinal, status, amount, currency, user_id, timestamp,
                                  payload, request_id, deliveries, status_changed, payment_snapshot, enqueued_at)
      SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[])::int4, unnest($4::text[]),
             unnest($5::text[])::int8, unnest($6::text[]), unnest($7::text[]), unnest($8::text[])::int8,
             unnest($9::text[]), unnest($10::text[]), unnest($11::text[])::int4, unnest($12::text[])::boolean,
             unnest($13::text[]), CASE WHEN $14::boolean THEN now() END`,
    values: [
      textArray(sorted, ({ event }) => event.event_id),
      textArray(sorted, ({ event }) => event.payment_id),
      textArray(sorted, ({ ordinal }) => String(ordinal)),
      textArray(sorted, ({ status }) => status),
      textArray(sorted, ({ event }) => String(event.amount)),
      textArray(sorted, ({ event }) => event.currency),
      textArray(sorted, ({ event }) => event.user_id),
      textArray(sorted, ({ event }) => String(event.timestamp)),
      textArray(sorted, ({ event }) => event.payload),
      textArray(sorted, ({ event }) => event.requestId),
      textArray(sorted, ({ times }) => String(times)),
      textArray(sorted, ({ statusChanged }) => (statusChanged ? 't' : 'f')),
      textArray(sorted, ({ snapshot }) => snapshot),
      enqueueNow,
    ],
  }
}

/** Counts duplicates of events that are there already; `times` by event id. */
export function countDuplicates(times: ReadonlyMap<string, number>): Statement {
  const entries = [...times]
  return {
    name: 'count-duplicates',
    text: `
      WITH again AS (SELECT unnest($1::text[]) AS event_id, unnest($2::text[])::int AS times),
      locked AS (
        SELECT event_id FROM payment_events WHERE event_id = ANY($1::text[]) ORDER BY event_id FOR UPDATE
      )
      UPDATE payment_events AS e SET deliveries = e.deliveries + again.times
      FROM again, locked WHERE again.event_id = locked.event_id AND e.event_id = locked.event_id
      RETURNING nextval('external_payment_changes')`,
    values: [textArray(entries, ([id]) => id), textArray(entries, ([, count]) => String(count))],
  }
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
const byPaymentId = (a: PaymentEntry, b: PaymentEntry) => compare(a.paymentId, b.paymentId)
