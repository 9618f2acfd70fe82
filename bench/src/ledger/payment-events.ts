// The ledger of payment events: all are stored as they were sent, and each payment is what its events make of it.
import type { Sql } from '../database.ts'
import { loadedEvent, type PaymentLoad } from '../payment-events.ts'
import { differences, type ExpectedPayment, expectedPayment, type ModelEvent } from '../payment-model.ts'
import type { Acknowledged, LedgerKind, Work } from './ledger.ts'

export const paymentEventRows: Work = {
  table: 'payment_events',
  begun: 'received_at',
  due: 'received_at',
  done: 'followed_up_at',
  ofRun: (run) => `event_id LIKE '%\\_${run}'`,
}

export const paymentEventLedger = (load: PaymentLoad): LedgerKind => ({
  work: paymentEventRows,
  async compare(sql, acknowledged) {
    const { events: stored, payments } = await readStored(sql, acknowledged.run)
    const byId = new Map(stored.map((event) => [event.event_id, event]))
    const found = [...sentEvents(load, acknowledged)].map(([id, sent]) => ({ ...sent, row: byId.get(id) }))
    const right = found.filter(({ event, row }) => row !== undefined && isAsSent(row, event))
    const wrong = wrongPayments(stored, payments)
    return {
      held: { events: stored.length, payments: payments.size },
      faults: [
        {
          count: found.filter(({ row, acknowledgedTimes }) => row === undefined && acknowledgedTimes > 0)
            .length,
          what: 'ACKNOWLEDGED BUT MISSING',
        },
        { count: stored.length - byId.size, what: 'TWICE' },
        { count: byId.size - right.length, what: 'NOT AS SENT' },
        {
          count: right.filter(
            ({ row, times, acknowledgedTimes }) =>
              row!.deliveries < acknowledgedTimes || row!.deliveries > times,
          ).length,
          what: 'WITH A WRONG COUNT OF REQUESTS',
        },
        { count: wrong.length, what: 'PAYMENTS WRONG', example: wrong[0] },
      ],
    }
  },
})

type SentEvent = { event: ReturnType<typeof loadedEvent>; times: number; acknowledgedTimes: number }

/** A run's events by id: how often each was sent, and how often a request of it was acknowledged. */
function sentEvents(load: PaymentLoad, { run, sent, unacknowledged }: Acknowledged): Map<string, SentEvent> {
  const open = new Set(unacknowledged)
  const events = new Map<string, SentEvent>()
  for (let sequence = 0; sequence < sent; sequence++) {
    const event = loadedEvent(load, run, sequence)
    const own = events.get(event.event_id) ?? { event, times: 0, acknowledgedTimes: 0 }
    own.times++
    if (!open.has(sequence)) own.acknowledgedTimes++
    events.set(event.event_id, own)
  }
  return events
}

/** `deliveries` is the column's name: how many requests brought this event. */
type StoredEvent = ModelEvent & { payment_id: string; deliveries: number }

type Stored = { events: StoredEvent[]; payments: Map<string, ExpectedPayment> }

/** Reads in one statement, so in one snapshot: requests cut off at a burst's end may commit meanwhile. */
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

const isAsSent = (row: StoredEvent, event: SentEvent['event']) =>
  (Object.keys(event) as (keyof typeof event)[]).every((field) => row[field] === event[field])

/** A line for each payment that is not what its events make of it. */
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
