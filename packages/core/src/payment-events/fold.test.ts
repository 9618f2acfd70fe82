// The fold against a simple model, for any events in any order, and examples of every rule (decision 0010).
import type { ExternalPaymentStatus } from '@sluice/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compareRanks,
  contradictions,
  foldEvent,
  isSamePayment,
  judgeEvent,
  type PaymentEvent,
  type PaymentState,
  type Rank,
  refundedAmount,
} from './fold.ts'

const foldAll = (events: readonly PaymentEvent[]) =>
  events.reduce<PaymentState | undefined>(foldEvent, undefined)

/** What a payment looks like, by a model that sees all events at once. */
function model(events: readonly PaymentEvent[]) {
  const level = { pending: 0, failed: 0, completed: 1, refunded: 2 }
  const status = ({ event }: PaymentEvent) => event.replace('payment.', '') as ExternalPaymentStatus
  const isRefund = (event: PaymentEvent) => status(event) === 'refunded'
  const greatest = (among: readonly PaymentEvent[]) => {
    const top = Math.max(...among.map((event) => level[status(event)]))
    const atTop = among.filter((event) => level[status(event)] === top)
    const latest = Math.max(...atTop.map(({ timestamp }) => timestamp))
    const atLast = atTop.filter(({ timestamp }) => timestamp === latest)
    const failed = atLast.filter((event) => status(event) === 'failed')
    return (failed.length > 0 ? failed : atLast).toSorted((a, b) =>
      Buffer.compare(Buffer.from(b.event_id), Buffer.from(a.event_id)),
    )[0]!
  }
  const deciding = greatest(events)
  const payments = events.filter((event) => !isRefund(event))
  const terms = greatest(payments.length > 0 ? payments : events)
  const refunds = events.filter((event) => isRefund(event) && event.currency === terms.currency)
  return {
    status: status(deciding),
    eventId: deciding.event_id,
    timestamp: deciding.timestamp,
    amount: terms.amount,
    currency: terms.currency,
    userId: terms.user_id,
    refunded: refunds.reduce((sum, { amount }) => sum + BigInt(amount), 0n),
    eventsCount: events.length,
  }
}

const look = (state: PaymentState) => ({
  ...state.deciding,
  amount: state.terms.amount,
  currency: state.terms.currency,
  userId: state.terms.userId,
  refunded: refundedAmount(state),
  eventsCount: state.eventsCount,
})

/** Few values each, so that ties are common; ids whose UTF-16 and UTF-8 orders differ. */
const someEvent: fc.Arbitrary<PaymentEvent> = fc.record({
  event_id: fc.oneof(
    fc.constantFrom('a', 'b', 'B', '', '\ufffd', '😀', 'ä'),
    fc.string({ unit: 'grapheme' }),
  ),
  event: fc.constantFrom('payment.pending', 'payment.failed', 'payment.completed', 'payment.refunded'),
  amount: fc.oneof(fc.constantFrom(0, 1, 100), fc.integer({ min: 0, max: 999_999_999_999 })),
  currency: fc.constantFrom('USD', 'EUR', 'JPY'),
  user_id: fc.constantFrom('u1', 'u2'),
  timestamp: fc.oneof(fc.constantFrom(100, 101, 102), fc.integer({ min: 0, max: 4_102_444_800 })),
})
const someEvents = fc.uniqueArray(someEvent, {
  selector: ({ event_id }) => event_id,
  minLength: 1,
  maxLength: 12,
})

test('any events in any order, each once, give the payment of the model', () => {
  const inAnyOrder = someEvents.chain((events) =>
    fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length })),
  )
  fc.assert(
    fc.property(inAnyOrder, ([events, shuffled]) => {
      expect(look(foldAll(shuffled)!)).toEqual(model(events))
      expect(foldAll(shuffled)).toEqual(foldAll(events))
    }),
    { numRuns: 2000 },
  )
})

test('folding an event never changes the earlier state', () => {
  fc.assert(
    fc.property(someEvents, (events) => {
      let state: PaymentState | undefined
      for (const event of events) {
        const before = structuredClone(state)
        const after = foldEvent(state, event)
        expect(state).toEqual(before)
        state = after
      }
    }),
  )
})

test('the order is total: antisymmetric, transitive, equal only for the same event', () => {
  const rank: fc.Arbitrary<Rank> = someEvent.map(({ event, timestamp, event_id: eventId }) => ({
    status: event.slice(8) as ExternalPaymentStatus,
    timestamp,
    eventId,
  }))
  fc.assert(
    fc.property(rank, rank, rank, (a, b, c) => {
      expect(Math.sign(compareRanks(a, b))).toBe(-Math.sign(compareRanks(b, a)) + 0)
      if (a.eventId !== b.eventId) expect(compareRanks(a, b)).not.toBe(0)
      if (compareRanks(a, b) > 0 && compareRanks(b, c) > 0) expect(compareRanks(a, c)).toBeGreaterThan(0)
    }),
    { numRuns: 2000 },
  )
})

let nextId = 0
const at = (
  timestamp: number,
  status: ExternalPaymentStatus,
  fields: Partial<PaymentEvent> = {},
): PaymentEvent => ({
  event_id: `evt_${++nextId}`,
  event: `payment.${status}`,
  amount: 700,
  currency: 'USD',
  user_id: 'u1',
  timestamp,
  ...fields,
})
const statusAfter = (...events: PaymentEvent[]) => foldAll(events)!.deciding.status

describe('status', () => {
  test.each([
    ['a late pending never undoes a later failed', [at(2, 'failed'), at(1, 'pending')], 'failed'],
    [
      "a payer's retry shows as it happens: pending again",
      [at(1, 'pending'), at(2, 'failed'), at(3, 'pending')],
      'pending',
    ],
    ['… and completed', [at(2, 'failed'), at(3, 'pending'), at(4, 'completed')], 'completed'],
    ['refunded before completed stands', [at(3, 'refunded'), at(2, 'completed')], 'refunded'],
    ['nothing undoes completed', [at(2, 'completed'), at(9, 'failed'), at(9, 'pending')], 'completed'],
    ['but a refund, even an older one', [at(2, 'completed'), at(1, 'refunded')], 'refunded'],
    ['at the same second failed wins', [at(5, 'failed'), at(5, 'pending')], 'failed'],
    ['… in either order of arrival', [at(5, 'pending'), at(5, 'failed')], 'failed'],
  ] as const)('%s', (_what, events, status) => {
    expect(statusAfter(...events)).toBe(status)
  })

  test('among equal events the greater id decides, by UTF-8 bytes, not by UTF-16 units', () => {
    const [low, high] = [
      at(1, 'completed', { event_id: '\ufffd', amount: 1 }),
      at(1, 'completed', { event_id: '😀', amount: 2 }),
    ]
    expect('\ufffd' > '😀').toBe(true)
    for (const events of [
      [low, high],
      [high, low],
    ]) {
      expect(foldAll(events)).toMatchObject({ deciding: { eventId: '😀' }, terms: { amount: 2 } })
    }
  })
})

describe('amounts', () => {
  test('are those of the greatest event that is not a refund', () => {
    const state = foldAll([
      at(1, 'refunded', { amount: 50 }),
      at(2, 'pending', { amount: 700, user_id: 'u2' }),
    ])!
    expect(look(state)).toMatchObject({ status: 'refunded', amount: 700, userId: 'u2', refunded: 50n })
  })

  test('are those of the greatest refund while there are only refunds', () => {
    const state = foldAll([at(1, 'refunded', { amount: 50 }), at(2, 'refunded', { amount: 30 })])!
    expect(look(state)).toMatchObject({ status: 'refunded', amount: 30, refunded: 80n })
  })

  test('refunds count in the payment’s currency only, and count again when the currency changes', () => {
    const euro = at(1, 'refunded', { amount: 50, currency: 'EUR' })
    const dollar = at(2, 'refunded', { amount: 30 })
    expect(refundedAmount(foldAll([euro, dollar, at(1, 'completed')])!)).toBe(30n)
    expect(refundedAmount(foldAll([euro, dollar, at(1, 'completed', { currency: 'EUR' })])!)).toBe(50n)
  })

  test('sums are exact beyond 2^53', () => {
    const max = 999_999_999_999
    const events = Array.from({ length: 10_001 }, (_, n) => at(n, 'refunded', { amount: max }))
    expect(refundedAmount(foldAll(events)!)).toBe(10_001n * BigInt(max))
  })
})

describe('what contradicts a known payment', () => {
  const found = (...events: PaymentEvent[]) => {
    const before = foldAll(events.slice(0, -1))
    return contradictions(before, events.at(-1)!, foldEvent(before, events.at(-1)!))
  }
  const paid = at(1, 'completed', { amount: 100 })

  test.each([
    ['nothing, for a first event', [paid], []],
    ['another amount is none', [at(1, 'pending', { amount: 90 }), paid], []],
    ['another currency', [paid, at(2, 'refunded', { amount: 10, currency: 'EUR' })], ['currency']],
    ['another user', [paid, at(0, 'pending', { user_id: 'u2' })], ['user_id']],
    ['both', [paid, at(0, 'pending', { currency: 'EUR', user_id: 'u2' })], ['currency', 'user_id']],
    [
      'refunds of just the amount are none',
      [paid, at(2, 'refunded', { amount: 60 }), at(3, 'refunded', { amount: 40 })],
      [],
    ],
    [
      'refunds above the amount',
      [paid, at(2, 'refunded', { amount: 60 }), at(3, 'refunded', { amount: 41 })],
      ['refunded_amount'],
    ],
    ['an amount below its refunds', [at(2, 'refunded', { amount: 101 }), paid], ['refunded_amount']],
    ['refunds alone are none', [at(2, 'refunded', { amount: 60 }), at(3, 'refunded', { amount: 60 })], []],
    ['what does not make it worse is none', [paid, at(2, 'refunded', { amount: 200 }), at(0, 'pending')], []],
  ])('%s', (_what, events, fields) => {
    expect(found(...events)).toEqual(fields)
  })
})

describe('the verdict on an event as it arrived', () => {
  const verdict = (...events: PaymentEvent[]) => judgeEvent(foldAll(events.slice(0, -1)), events.at(-1)!)
  test.each([
    ['the first', [at(1, 'pending')], 'applied'],
    ['a greater one', [at(1, 'pending'), at(2, 'completed')], 'applied'],
    ['an older one', [at(2, 'failed'), at(1, 'pending')], 'superseded'],
    ['one of the same second that is not greater', [at(2, 'failed'), at(2, 'pending')], 'superseded'],
    ['a newer one that cannot undo', [at(2, 'completed'), at(3, 'failed')], 'ignored'],
    ['a completed after its refund', [at(3, 'refunded'), at(2, 'completed')], 'superseded'],
    ['a refund older than a known one', [at(3, 'refunded'), at(2, 'refunded')], 'applied'],
  ] as const)('%s: %s', (_what, events, outcome) => {
    const given = verdict(...events)
    expect(given.outcome).toBe(outcome)
    if (outcome !== 'applied') expect(given.reason).toMatch(/payment/)
  })

  test('names what contradicts the payment, with any outcome', () => {
    const paid = at(1, 'completed', { amount: 100 })
    const refund = at(2, 'refunded', { amount: 101, currency: 'EUR', user_id: 'u2' })
    expect(verdict(paid, refund)).toEqual({
      outcome: 'applied',
      reason: "Its currency is not the payment's. Its user is not the payment's.",
    })
    expect(verdict(paid, at(2, 'refunded', { amount: 101 })).reason).toBe(
      "Refunds are above the payment's amount.",
    )
    expect(verdict(paid, at(0, 'pending', { user_id: 'u2' })).reason).toMatch(
      /^Not newer .* Its user is not the payment's\.$/,
    )
  })

  test('says when the event still decides the payment’s amount', () => {
    expect(verdict(at(3, 'refunded'), at(2, 'completed')).reason).toContain('Amount, currency and user')
  })
})

test('a payment is the same only if all visible fields are equal', () => {
  const base = foldAll([at(5, 'completed', { amount: 100 })])!
  expect(isSamePayment(base, foldEvent(base, at(1, 'pending', { amount: 3 })))).toBe(true)
  expect(isSamePayment(base, foldEvent(base, at(6, 'completed', { amount: 100 })))).toBe(false)
  expect(isSamePayment(base, foldEvent(base, at(6, 'refunded', { amount: 0 })))).toBe(false)
  const refunded = foldEvent(base, at(9, 'refunded', { amount: 5 }))
  expect(isSamePayment(refunded, foldEvent(refunded, at(8, 'refunded', { amount: 5 })))).toBe(false)
})
