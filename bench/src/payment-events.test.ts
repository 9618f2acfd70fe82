// Tests of the payment events' loads: each matches its name, and no payment contradicts itself.
import type { PaymentEventRequest } from '@sluice/contracts'
import { expect, test } from 'vitest'
import { loadedEvent, type PaymentLoad, paymentLoads } from './payment-events.ts'
import { expectedPayment } from './payment-model.ts'

const SENT = 12_000
const sent = (load: PaymentLoad) => Array.from({ length: SENT }, (_, n) => loadedEvent(load, 'run00000', n))
const distinct = (events: PaymentEventRequest[], field: keyof PaymentEventRequest) =>
  new Set(events.map((event) => event[field])).size

/** Distinct events of each payment. */
function payments(load: PaymentLoad): PaymentEventRequest[][] {
  const groups = new Map<string, Map<string, PaymentEventRequest>>()
  for (const event of sent(load)) {
    const own = groups.get(event.payment_id) ?? new Map()
    groups.set(event.payment_id, own.set(event.event_id, event))
  }
  return [...groups.values()].map((own) => [...own.values()])
}

test('every event is a new payment', () => {
  const events = sent('new payments')
  expect([distinct(events, 'event_id'), distinct(events, 'payment_id')]).toEqual([SENT, SENT])
})

test('all events are on ten payments, in turns, with every status and times that advance', () => {
  const events = sent('ten payments')
  expect([distinct(events, 'event_id'), distinct(events, 'payment_id')]).toEqual([SENT, 10])
  expect(distinct(events.slice(500, 510), 'payment_id')).toBe(10)
  const own = payments('ten payments')[0]!
  expect(new Set(own.map(({ event }) => event)).size).toBe(4)
  expect(own.every(({ timestamp }, i) => i === 0 || timestamp > own[i - 1]!.timestamp)).toBe(true)
})

test('a lifecycle has three events, and 2 % of the requests repeat an event word for word', () => {
  const events = sent('lifecycles')
  expect(SENT - distinct(events, 'event_id')).toBe(SENT * 0.02)
  expect(new Set(events.map((event) => JSON.stringify(event))).size).toBe(distinct(events, 'event_id'))
  const whole = payments('lifecycles').filter((own) => own.length === 3)
  expect(whole.length).toBeGreaterThan(SENT * 0.25)
  const ends = whole.map((own) => expectedPayment(own).status)
  const share = (status: string) => ends.filter((end) => end === status).length / ends.length
  expect(share('completed')).toBeCloseTo(0.85, 1)
  expect(share('refunded')).toBeCloseTo(0.1, 1)
  expect(share('failed')).toBeCloseTo(0.05, 1)
})

test.each(paymentLoads)(
  '%s: a payment has one currency and one user, and is never refunded beyond its amount',
  (load) => {
    const contradicting = payments(load).filter((own) => {
      const { amount, refunded_amount } = expectedPayment(own)
      return distinct(own, 'currency') > 1 || distinct(own, 'user_id') > 1 || refunded_amount > amount
    })
    expect(contradicting).toEqual([])
  },
)
