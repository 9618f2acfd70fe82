// Tests of the simulated traffic of payment events: whole lifecycles, out of order, with duplicates and conflicts.
import type { PaymentEventRequest } from '@sluice/contracts'
import { seededRandom } from '@sluice/testing'
import { expect, test } from 'vitest'
import { expectedPayment } from '../payment-model.ts'
import { planPaymentEvents } from './payment-traffic.ts'
import type { PlannedRequest } from './traffic.ts'

const options = { rate: 50, durationSeconds: 30, duplicates: 0.2, conflicts: 0.05, burst: 50 }
const plan = (changed: Partial<typeof options> = {}) =>
  planPaymentEvents({ ...options, ...changed }, 'run00000', seededRandom('simulated traffic'))

/** First requests by payment, in sending order. */
function lifecycles(requests: PlannedRequest<PaymentEventRequest>[]): PaymentEventRequest[][] {
  const groups = new Map<string, PaymentEventRequest[]>()
  for (const { kind, body } of requests)
    if (kind === 'first') groups.set(body.payment_id, [...(groups.get(body.payment_id) ?? []), body])
  return [...groups.values()]
}

test('every payment begins pending and ends completed, failed or refunded, with retries in between', () => {
  const all = lifecycles(plan())
  expect(all.length).toBeGreaterThan(1650 - 300)
  expect(all.length).toBeLessThan(1650 + 300)
  for (const events of all) expect(events.some(({ event }) => event === 'payment.pending')).toBe(true)
  for (const status of ['completed', 'failed', 'refunded'])
    expect(all.some((events) => expectedPayment(events).status === status)).toBe(true)
  const retried = all.filter(
    (events) =>
      events.some(({ event }) => event === 'payment.failed') &&
      expectedPayment(events).status === 'completed',
  )
  expect(retried.length).toBeGreaterThan(0)
})

test('a payment has one currency and user, and refunds are within its amount', () => {
  for (const events of lifecycles(plan())) {
    expect(new Set(events.map(({ currency, user_id }) => `${currency} ${user_id}`)).size).toBe(1)
    const { amount, refunded_amount } = expectedPayment(events)
    expect(refunded_amount).toBeLessThanOrEqual(amount)
  }
})

test('events overtake each other, and are sent again, as duplicates and as conflicts', () => {
  const requests = plan()
  expect(requests.map(({ atMs }) => atMs)).toEqual(requests.map(({ atMs }) => atMs).sort((a, b) => a - b))
  const overtaken = lifecycles(requests).filter((events) =>
    events.some(({ timestamp }, i) => i > 0 && timestamp < events[i - 1]!.timestamp),
  )
  expect(overtaken.length).toBeGreaterThan(10)
  const firsts = new Map<string, PaymentEventRequest>()
  for (const { kind, body } of requests) if (kind === 'first') firsts.set(body.event_id, body)
  for (const { kind, body } of requests) {
    if (kind === 'conflict') expect(body).not.toEqual(firsts.get(body.event_id))
    else expect(body).toEqual(firsts.get(body.event_id))
  }
  expect(new Set(requests.map(({ kind }) => kind)).size).toBe(3)
})

test('a rate of 0 sends none', () => {
  expect(plan({ rate: 0 })).toEqual([])
})
