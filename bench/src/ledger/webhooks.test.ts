// Tests of the webhooks' ledger: a delivery is right when it arrived once and succeeded once, on record.
import { expect, test } from 'vitest'
import type { Arrival } from '../receivers.ts'
import { verdict } from './ledger.ts'
import { compareDeliveries, type Delivery, isolationLimitMs, latencies, throughput } from './webhooks.ts'

const delivery = (id: string, fields: Partial<Delivery> = {}): Delivery => ({
  id,
  status: 'success',
  attempts: 1,
  successes: 1,
  createdAt: 1000,
  firstAttemptAt: 1010,
  settledAt: 1030,
  ...fields,
})
const arrival = (id: string, at = 1011): Arrival => [id, at]

const verdictOf = (deliveries: Delivery[], arrivals: Arrival[], expected = deliveries.length) =>
  verdict(compareDeliveries(expected, deliveries, arrivals))

test('one POST and one success on record for each delivery are right', () => {
  expect(verdictOf([delivery('a'), delivery('b')], [arrival('b'), arrival('a')])).toBe('ok (2 deliveries)')
})

test.each<[string, Delivery[], Arrival[]]>([
  ['1 NEVER POSTED', [delivery('a'), delivery('b')], [arrival('a')]],
  ['1 POSTED MORE THAN ONCE', [delivery('a')], [arrival('a'), arrival('a')]],
  ['1 POSTED AND UNKNOWN', [delivery('a')], [arrival('a'), arrival('x')]],
  ['1 NOT SUCCEEDED', [delivery('a', { status: 'pending' })], [arrival('a')]],
  ['1 WITHOUT ONE SUCCESS ON RECORD', [delivery('a', { attempts: 2 })], [arrival('a')]],
  ['1 WITHOUT ONE SUCCESS ON RECORD', [delivery('a', { successes: 0 })], [arrival('a')]],
  ['1 WITHOUT ONE SUCCESS ON RECORD', [delivery('a', { attempts: 2, successes: 2 })], [arrival('a')]],
])('%s', (fault, deliveries, arrivals) => {
  expect(verdictOf(deliveries, arrivals)).toBe(fault)
})

test('too few or too many deliveries are a fault, even when all of them arrived', () => {
  expect(verdictOf([delivery('a')], [arrival('a')], 3)).toBe('2 DELIVERIES TOO FEW OR TOO MANY')
  expect(verdictOf([delivery('a')], [arrival('a')], 0)).toBe('1 DELIVERIES TOO FEW OR TOO MANY')
})

test('latency counts from the creation: to the first attempt on record, and to the arrival', () => {
  const deliveries = Array.from({ length: 100 }, (_, n) =>
    delivery(`${n}`, { firstAttemptAt: 1000 + (100 - n) }),
  )
  const arrivals = deliveries.map(({ id, firstAttemptAt }) => arrival(id, firstAttemptAt! + 0.5))
  const { toAttempt, toArrival } = latencies(
    [...deliveries, delivery('x', { firstAttemptAt: null })],
    arrivals,
  )
  expect(toAttempt).toEqual({ p50: 50, p95: 95, p99: 99, max: 100 })
  expect(toArrival).toEqual({ p50: 50.5, p95: 95.5, p99: 99.5, max: 100.5 })
})

test('throughput counts from the first attempt to the last record', () => {
  const deliveries = [
    delivery('a', { firstAttemptAt: 1500, settledAt: 1600 }),
    delivery('b', { firstAttemptAt: 1200, settledAt: 2200 }),
    delivery('c', { firstAttemptAt: 1300, settledAt: null }),
  ]
  expect(throughput(deliveries)).toEqual({ perSecond: 2, seconds: 1, beginsAfterMs: 200 })
})

test('endpoints that hang may cost the others a fifth and 50 ms', () => {
  expect(isolationLimitMs(100)).toBe(170)
})
