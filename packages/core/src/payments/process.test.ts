// The next step of a payment, decided from its row, its order and the payment that has claimed the order.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { BankResponse } from './bank.ts'
import { type LockedPayment, nextPaymentStep } from './process.ts'

const ID = 'pay_0000000000000001'
const OTHER = 'pay_0000000000000002'

/** A new payment whose order is unclaimed. */
const fresh: LockedPayment = {
  id: ID,
  orderId: 'order_0000000000000001',
  merchantId: '550e8400-e29b-41d4-a716-446655440000',
  status: 'pending',
  amount: 50_000,
  currency: 'INR',
  method: 'upi',
  scenario: null,
  requestId: 'r-1',
  dueInMs: -1,
  bankWasAsked: false,
  bankResponse: null,
  orderIsPaid: false,
  claimedBy: null,
  claimantDueInMs: null,
  ageMs: 40,
}

const success: BankResponse = { outcome: 'success', settlesInMs: 5000 }
const failure: BankResponse = {
  outcome: 'failed',
  errorCode: 'DECLINED',
  errorDescription: 'The card was declined',
  settlesInMs: 5000,
}
const asked = { bankWasAsked: true, claimedBy: ID, claimantDueInMs: -1 }
const claimed = (claimantDueInMs: number | null) => ({ claimedBy: OTHER, claimantDueInMs })
const alreadyPaid = {
  is: 'fail',
  failure: { errorCode: 'ORDER_ALREADY_PAID', errorDescription: 'The order was paid by another payment' },
  cause: 'another payment paid the order',
}

test.each<[string, Partial<LockedPayment>, object]>([
  ['a new payment claims its order, then asks', {}, { is: 'ask' }],
  ['a payment that is due right now asks', { dueInMs: 0 }, { is: 'ask' }],
  ['a payment that is not due snoozes until it is due', { dueInMs: 1500 }, { is: 'snooze', forMs: 1500 }],
  ['a snooze is never a part of a millisecond too short', { dueInMs: 0.2 }, { is: 'snooze', forMs: 1 }],
  [
    'a payment at the bank snoozes until the bank settles',
    { ...asked, bankResponse: success, dueInMs: 4999.5 },
    { is: 'snooze', forMs: 5000 },
  ],
  ['a payment that has claimed its order and has not asked yet asks', { claimedBy: ID }, { is: 'ask' }],
  ['a payment whose response a crash lost asks a second time', asked, { is: 'ask' }],
  [
    'a payment succeeds when its success response has settled',
    { ...asked, bankResponse: success },
    { is: 'succeed' },
  ],
  [
    'a payment fails with the bank’s error when its failure response has settled',
    { ...asked, bankResponse: failure },
    {
      is: 'fail',
      cause: 'bank',
      failure: { errorCode: 'DECLINED', errorDescription: 'The card was declined' },
    },
  ],
  [
    'a payment of a paid order fails before it asks the bank',
    { orderIsPaid: true, ...claimed(-9000) },
    alreadyPaid,
  ],
  [
    'a payment of a paid order fails even after a success response',
    { ...claimed(-1), orderIsPaid: true, bankWasAsked: true, bankResponse: success },
    alreadyPaid,
  ],
  ['a payment waits until another payment at the bank settles', claimed(5000), { is: 'wait', forMs: 5100 }],
  ['a wait is a whole number of milliseconds', claimed(0.5), { is: 'wait', forMs: 101 }],
  ['a payment waits 100 ms while another payment is overdue', claimed(-60_000), { is: 'wait', forMs: 100 }],
  [
    'a payment waits 100 ms while the due time of the claimant is unknown',
    claimed(null),
    { is: 'wait', forMs: 100 },
  ],
  ['an older payment waits longer', { ...claimed(null), ageMs: 4000 }, { is: 'wait', forMs: 1000 }],
  [
    'no payment waits longer than 2 s for an overdue one',
    { ...claimed(-1), ageMs: 3_600_000 },
    { is: 'wait', forMs: 2000 },
  ],
  [
    'a successful payment stays successful',
    { status: 'success', orderIsPaid: true, claimedBy: ID },
    { is: 'nothing' },
  ],
  ['a failed payment stays failed', { status: 'failed', bankResponse: success }, { is: 'nothing' }],
  ['a created payment waits for its notification', { status: 'created', dueInMs: 1500 }, { is: 'nothing' }],
])('%s', (_rule, over, step) => {
  expect(nextPaymentStep({ ...fresh, ...over })).toMatchObject(step)
})

const responses = fc.constantFrom(null, success, failure)
const anyPayment: fc.Arbitrary<LockedPayment> = fc
  .record({
    status: fc.constantFrom('created', 'pending', 'success', 'failed'),
    dueInMs: fc.double({ min: -1e9, max: 1e9, noNaN: true }),
    bankWasAsked: fc.boolean(),
    bankResponse: responses,
    orderIsPaid: fc.boolean(),
    claimedBy: fc.constantFrom(null, ID, OTHER),
    claimantDueInMs: fc.option(fc.double({ min: -1e9, max: 1e9, noNaN: true })),
  })
  .map((over) => ({ ...fresh, ...over }))

test('for any rows: no payment moves early, asks beside another payment or asks twice, and every wait ends', () => {
  fc.assert(
    fc.property(anyPayment, (payment) => {
      const step = nextPaymentStep(payment)
      const isIdle = step.is === 'nothing' || step.is === 'snooze'
      expect(isIdle).toBe(payment.status !== 'pending' || payment.dueInMs > 0)
      const orderIsTaken = payment.orderIsPaid || payment.claimedBy === OTHER
      if (orderIsTaken) expect(step.is === 'ask' || step.is === 'succeed').toBe(false)
      if (payment.bankResponse !== null) expect(step.is === 'ask').toBe(false)
      if (step.is === 'succeed') expect(payment.bankResponse?.outcome).toBe('success')
      if (step.is === 'snooze') expect(step.forMs).toBeGreaterThanOrEqual(payment.dueInMs)
      if (step.is === 'wait') expect(step.forMs).toBeGreaterThanOrEqual(100)
      const pause = step.is === 'snooze' ? step.forMs : step.is === 'wait' ? step.forMs : 1
      expect(Number.isSafeInteger(pause) && pause > 0).toBe(true)
    }),
    { numRuns: 2000 },
  )
})
