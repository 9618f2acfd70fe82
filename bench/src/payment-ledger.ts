// What the database says about a run's payment events: whether all acknowledged ones are there, as they were sent, and
// whether their payments are what they must be by these events.
import type { Sql } from './database.ts'
import type { Work } from './ledger.ts'
import type { LoadResult } from './load/plan.ts'
import { loadedEvent, type PaymentLoad } from './payment-events.ts'
import { differences, type ExpectedPayment, expectedPayment, type ModelEvent } from './payment-model.ts'

export const followUpWork: Work = { table: 'payment_events', due: 'received_at', done: 'followed_up_at' }

export type PaymentLedgerCheck = {
  events: number
  payments: number
  /** Acknowledged events that are not there. */
  missing: number
  /** Events that are there more than once. */
  twice: number
  /** Events that nobody sent, or that are not as they were sent. */
  foreign: number
  /** Events whose count of deliveries cannot be. */
  miscounted: number
  /** What is wrong with payments, a line each. */
  wrongPayments: string[]
}

/** Requests without an answer may or may not be there; both are right. */
export async function checkPaymentLedger(
  sql: Sql,
  load: PaymentLoad,
  run: string,
  result: Pick<LoadResult, 'sent' | 'unacknowledged'>,
): Promise<PaymentLedgerCheck> {
  const { events: stored, payments } = await readStored(sql, run)
  const byId = new Map(stored.map((event) => [event.event_id, event]))
  const sent = deliveriesOf(load, run, result)
  const found = [...sent.values()].map((delivery) => ({
    ...delivery,
    row: byId.get(delivery.event.event_id),
  }))
  const rowsRight = found.filter(({ event, row }) => row !== undefined && isAsSent(row, event))
  return {
    events: stored.length,
    payments: payments.size,
    missing: found.filter(({ row, acknowledged }) => row === undefined && acknowledged > 0).length,
    twice: stored.length - byId.size,
    foreign: byId.size - rowsRight.length,
    miscounted: rowsRight.filter(
      ({ row, times, acknowledged }) => row!.deliveries < acknowledged || row!.deliveries > times,
    ).length,
    wrongPayments: wrongPayments(stored, payments),
  }
}

export function paymentLedgerVerdict(check: PaymentLedgerCheck): string {
  const { events, payments, missing, twice, foreign, miscounted, wrongPayments } = check
  const wrong = [
    missing > 0 && `${missing} ACKNOWLEDGED BUT MISSING`,
    twice > 0 && `${twice} TWICE`,
    foreign > 0 && `${foreign} NOT AS SENT`,
    miscounted > 0 && `${miscounted} WITH A WRONG COUNT OF DELIVERIES`,
    wrongPayments.length > 0 && `${wrongPayments.length} PAYMENTS WRONG (${wrongPayments[0]})`,
  ].filter(Boolean)
  const count = (number: number) => number.toLocaleString('en-US')
  return wrong.length === 0 ? `ok (${count(events)} events, ${count(payments)} payments)` : wrong.join(', ')
}

export type FollowUpLateness = {
  count: number
  p50: number
  p99: number
  max: number
  lastAfterBurst: number
}

/** Milliseconds from an event's arrival to its follow-up; `lastAfterBurst`: from the last arrival to the last follow-up. */
export async function followUpLateness(sql: Sql, run: string): Promise<FollowUpLateness> {
  const [row] = await sql(`
    WITH lateness AS (
      SELECT received_at, followed_up_at, 1000 * extract(epoch FROM followed_up_at - received_at)::float8 AS ms
      FROM payment_events WHERE event_id LIKE '%\\_${run}'
    )
    SELECT count(*) AS count, max(ms) AS max,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) AS p50,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY ms) AS p99,
           1000 * extract(epoch FROM max(followed_up_at) - max(received_at))::float8 AS last
    FROM lateness`)
  return {
    count: Number(row?.count),
    p50: Number(row?.p50 ?? Number.NaN),
    p99: Number(row?.p99 ?? Number.NaN),
    max: Number(row?.max ?? Number.NaN),
    lastAfterBurst: Number(row?.last ?? Number.NaN),
  }
}

type Delivered = { event: ReturnType<typeof loadedEvent>; times: number; acknowledged: number }

function deliveriesOf(
  load: PaymentLoad,
  run: string,
  { sent, unacknowledged }: Pick<LoadResult, 'sent' | 'unacknowledged'>,
): Map<string, Delivered> {
  const open = new Set(unacknowledged)
  const deliveries = new Map<string, Delivered>()
  for (let sequence = 0; sequence < sent; sequence++) {
    const event = loadedEvent(load, run, sequence)
    const delivered = deliveries.get(event.event_id) ?? { event, times: 0, acknowledged: 0 }
    delivered.times++
    if (!open.has(sequence)) delivered.acknowledged++
    deliveries.set(event.event_id, delivered)
  }
  return deliveries
}

type StoredEvent = ModelEvent & { payment_id: string; deliveries: number }

type Stored = { events: StoredEvent[]; payments: Map<string, ExpectedPayment> }

/** In one statement, so in one snapshot: what was cut off at a burst's end may be committed while we look. */
async function readStored(sql: Sql, run: string): Promise<Stored> {
  const [row] = await sql(`
    SELECT (SELECT coalesce(json_agg(e), '[]') FROM (
              SELECT event_id, payment_id, 'payment.' || status AS event, amount, currency, user_id, timestamp, deliveries
              FROM payment_events WHERE event_id LIKE '%\\_${run}') AS e) AS events,
           (SELECT coalesce(json_agg(p), '[]') FROM (
              SELECT payment_id, status, 'payment.' || status AS event, amount, currency, user_id, refunded_amount,
                     timestamp, events_count
              FROM external_payments WHERE payment_id LIKE '%\\_${run}') AS p) AS payments`)
  const payments = row?.payments as (ExpectedPayment & { payment_id: string })[]
  return {
    events: row?.events as StoredEvent[],
    payments: new Map(payments.map((payment) => [payment.payment_id, payment])),
  }
}

const isAsSent = (row: StoredEvent, event: Delivered['event']) =>
  (Object.keys(event) as (keyof typeof event)[]).every((field) => row[field] === event[field])

function wrongPayments(
  events: readonly StoredEvent[],
  payments: ReadonlyMap<string, ExpectedPayment>,
): string[] {
  const eventsOf = new Map<string, StoredEvent[]>()
  for (const event of events) {
    const own = eventsOf.get(event.payment_id)
    if (own) own.push(event)
    else eventsOf.set(event.payment_id, [event])
  }
  const wrong = [...eventsOf].flatMap(([id, own]) => {
    const payment = payments.get(id)
    const problems = payment ? differences(payment, expectedPayment(own)) : ['missing']
    return problems.length === 0 ? [] : [`${id}: ${problems.join(', ')}`]
  })
  const withoutEvents = [...payments.keys()].filter((id) => !eventsOf.has(id))
  return [...wrong, ...withoutEvents.map((id) => `${id}: without events`)]
}
