// Tests of the payment model against cases worked out by hand, without Sluice's own code.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { differences, expectedPayment, type ModelEvent } from './payment-model.ts'

let events = 0
const event = (name: string, timestamp: number, fields: Partial<ModelEvent> = {}): ModelEvent => ({
  event_id: `evt_${++events}`,
  event: `payment.${name}` as ModelEvent['event'],
  amount: 25_000,
  currency: 'USD',
  user_id: 'user_1',
  timestamp,
  ...fields,
})
const refund = (timestamp: number, amount: number, currency = 'USD') =>
  event('refunded', timestamp, { amount, currency })

test.each<[string, ModelEvent[], string]>([
  ['a late pending does not undo a failure', [event('failed', 20), event('pending', 10)], 'failed'],
  ['a retry is pending again', [event('failed', 20), event('pending', 30)], 'pending'],
  ['in the same second, failed precedes pending', [event('failed', 20), event('pending', 20)], 'failed'],
  ['nothing but a refund undoes a completion', [event('completed', 10), event('failed', 99)], 'completed'],
  ['a refund stands, however early', [refund(5, 100), event('completed', 10)], 'refunded'],
])('%s', (_, given, status) => {
  expect(expectedPayment(given)).toMatchObject({ status, event: `payment.${status}`, events_count: 2 })
})

test("refunds in the payment's currency are summed and change no other field", () => {
  const given = [refund(30, 100), refund(40, 50), refund(50, 7, 'EUR'), event('completed', 10)]
  expect(expectedPayment(given)).toEqual({
    status: 'refunded',
    event: 'payment.refunded',
    amount: 25_000,
    currency: 'USD',
    user_id: 'user_1',
    refunded_amount: 150,
    timestamp: 50,
    events_count: 4,
  })
})

test("with refunds only, the greatest of them decides the payment's fields", () => {
  expect(expectedPayment([refund(30, 100, 'EUR'), refund(40, 50)])).toMatchObject({
    amount: 50,
    currency: 'USD',
    refunded_amount: 50,
  })
})

test('between equals the greater id by bytes of UTF-8 decides', () => {
  // In JavaScript's own order U+FFFD is above the emoji's surrogates.
  const given = [
    event('completed', 10, { event_id: '\u{1F600}', amount: 1 }),
    event('completed', 10, { event_id: '\uFFFD', amount: 2 }),
  ]
  expect(expectedPayment(given).amount).toBe(1)
})

test('the order of arrival does not matter', () => {
  const given = [
    event('pending', 10),
    event('failed', 20),
    event('completed', 15),
    refund(12, 5),
    refund(12, 6),
  ]
  fc.assert(
    fc.property(fc.shuffledSubarray(given, { minLength: given.length }), (shuffled) => {
      expect(expectedPayment(shuffled)).toEqual(expectedPayment(given))
    }),
  )
})

test('differences name the field and both values', () => {
  const expected = expectedPayment([event('completed', 10)])
  expect(differences(expected, expected)).toEqual([])
  expect(differences({ ...expected, amount: 1 }, expected)).toEqual(['amount is 1, not 25000'])
})
