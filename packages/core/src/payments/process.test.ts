// What is to be done next for a payment, from its row, its order's and that of the payment which holds the order.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextPaymentStep, type PaymentAtWork } from './process.ts'
import type { BankAnswer } from './processor.ts'

const ID = 'pay_0000000000000001'
const OTHER = 'pay_0000000000000002'

/** A payment that has just been made, of an order that nobody holds. */
const fresh: PaymentAtWork = {
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
  bankAnswer: null,
  orderIsPaid: false,
  claimedBy: null,
  claimantDueInMs: null,
  ageMs: 40,
}

const yes: BankAnswer = { outcome: 'success', settlesInMs: 5000 }
const no: BankAnswer = {
  outcome: 'failed',
  errorCode: 'DECLINED',
  errorDescription: 'The card was declined',
  settlesInMs: 5000,
}
const asked = { bankWasAsked: true, claimedBy: ID, claimantDueInMs: -1 }
const held = (claimantDueInMs: number | null) => ({ claimedBy: OTHER, claimantDueInMs })
const alreadyPaid = {
  is: 'fail',
  failure: { errorCode: 'ORDER_ALREADY_PAID', errorDescription: 'The order was paid by another payment' },
  cause: 'another payment paid the order',
}

test.each<[string, Partial<PaymentAtWork>, object]>([
  ['a new payment claims its order, then asks', {}, { is: 'ask' }],
  ['due this very moment is due', { dueInMs: 0 }, { is: 'ask' }],
  ['one that is not due is looked at when it is', { dueInMs: 1500 }, { is: 'look_again', inMs: 1500 }],
  ['… never a part of a millisecond early', { dueInMs: 0.2 }, { is: 'look_again', inMs: 1 }],
  [
    'one that waits for the bank is looked at when that settles',
    { ...asked, bankAnswer: yes, dueInMs: 4999.5 },
    { is: 'look_again', inMs: 5000 },
  ],
  ['one that holds its order and was not asked about yet asks', { claimedBy: ID }, { is: 'ask' }],
  ['one whose answer was lost by a crash asks again', asked, { is: 'ask' }],
  ['a yes that has settled succeeds', { ...asked, bankAnswer: yes }, { is: 'succeed' }],
  [
    'a no that has settled fails, with the bank’s words',
    { ...asked, bankAnswer: no },
    {
      is: 'fail',
      cause: 'bank',
      failure: { errorCode: 'DECLINED', errorDescription: 'The card was declined' },
    },
  ],
  ['of a paid order: fails before the bank is asked', { orderIsPaid: true, ...held(-9000) }, alreadyPaid],
  [
    'of a paid order: fails whatever its bank said',
    { ...held(-1), orderIsPaid: true, bankWasAsked: true, bankAnswer: yes },
    alreadyPaid,
  ],
  ['while another is at the bank: waits until that settles', held(5000), { is: 'wait', forMs: 5100 }],
  ['… counting whole milliseconds', held(0.5), { is: 'wait', forMs: 101 }],
  ['while another is overdue: waits, not busily', held(-60_000), { is: 'wait', forMs: 100 }],
  ['while another, of which nothing is known, is at the bank: waits', held(null), { is: 'wait', forMs: 100 }],
  ['… the less busily the older it is', { ...held(null), ageMs: 4000 }, { is: 'wait', forMs: 1000 }],
  ['… but never for long', { ...held(-1), ageMs: 3_600_000 }, { is: 'wait', forMs: 2000 }],
  ['success is for good', { status: 'success', orderIsPaid: true, claimedBy: ID }, { is: 'nothing' }],
  ['failed is for good', { status: 'failed', bankAnswer: yes }, { is: 'nothing' }],
  ['only notifications end created ones', { status: 'created', dueInMs: 1500 }, { is: 'nothing' }],
])('%s', (_rule, over, step) => {
  expect(nextPaymentStep({ ...fresh, ...over })).toMatchObject(step)
})

const answers = fc.constantFrom(null, yes, no)
const anyPayment: fc.Arbitrary<PaymentAtWork> = fc
  .record({
    status: fc.constantFrom('created', 'pending', 'success', 'failed'),
    dueInMs: fc.double({ min: -1e9, max: 1e9, noNaN: true }),
    bankWasAsked: fc.boolean(),
    bankAnswer: answers,
    orderIsPaid: fc.boolean(),
    claimedBy: fc.constantFrom(null, ID, OTHER),
    claimantDueInMs: fc.option(fc.double({ min: -1e9, max: 1e9, noNaN: true })),
  })
  .map((over) => ({ ...fresh, ...over }))

test('whatever the rows say: nothing moves before its time, nobody asks or succeeds beside another payment, nobody asks twice, and every wait ends', () => {
  fc.assert(
    fc.property(anyPayment, (payment) => {
      const step = nextPaymentStep(payment)
      const isIdle = step.is === 'nothing' || step.is === 'look_again'
      expect(isIdle).toBe(payment.status !== 'pending' || payment.dueInMs > 0)
      const isAnothers = payment.orderIsPaid || payment.claimedBy === OTHER
      if (isAnothers) expect(step.is === 'ask' || step.is === 'succeed').toBe(false)
      if (payment.bankAnswer !== null) expect(step.is === 'ask').toBe(false)
      if (step.is === 'succeed') expect(payment.bankAnswer?.outcome).toBe('success')
      if (step.is === 'look_again') expect(step.inMs).toBeGreaterThanOrEqual(payment.dueInMs)
      if (step.is === 'wait') expect(step.forMs).toBeGreaterThanOrEqual(100)
      const pause = step.is === 'look_again' ? step.inMs : step.is === 'wait' ? step.forMs : 1
      expect(Number.isSafeInteger(pause) && pause > 0).toBe(true)
    }),
    { numRuns: 2000 },
  )
})
