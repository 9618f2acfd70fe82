// What is to be done next for a refund, from its row and its payment's.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextRefundStep, type RefundAtWork } from './process-refund.ts'
import type { BankAnswer } from './processor.ts'

/** A refund that has just been made, of a payment that covers it. */
const fresh: RefundAtWork = {
  id: 'rfnd_0000000000000001',
  paymentId: 'pay_0000000000000001',
  merchantId: '550e8400-e29b-41d4-a716-446655440000',
  status: 'pending',
  amount: 10_000,
  currency: 'INR',
  scenario: null,
  requestId: 'r-1',
  dueInMs: -1,
  bankAnswer: null,
  isCovered: true,
}

const yes: BankAnswer = { outcome: 'success', settlesInMs: 3000 }
const no: BankAnswer = {
  outcome: 'failed',
  errorCode: 'REFUND_FAILED',
  errorDescription: 'The refund was refused',
  settlesInMs: 3000,
}
const notCovered = {
  is: 'fail',
  cause: 'worker',
  failure: {
    errorCode: 'REFUND_NOT_COVERED',
    errorDescription: 'The payment does not cover the refund',
  },
}

test.each<[string, Partial<RefundAtWork>, object]>([
  ['a new refund asks the bank', {}, { is: 'ask' }],
  ['due this very moment is due', { dueInMs: 0 }, { is: 'ask' }],
  ['one whose answer was lost by a crash asks again', { dueInMs: -60_000 }, { is: 'ask' }],
  [
    'one that waits for the bank is looked at when that settles',
    { bankAnswer: yes, dueInMs: 2999.1 },
    { is: 'look_again', inMs: 3000 },
  ],
  ['a yes that has settled is processed', { bankAnswer: yes }, { is: 'succeed' }],
  [
    'a no that has settled fails, with the bank’s words',
    { bankAnswer: no },
    {
      is: 'fail',
      cause: 'bank',
      failure: { errorCode: 'REFUND_FAILED', errorDescription: 'The refund was refused' },
    },
  ],
  ['one that its payment does not cover fails before the bank is asked', { isCovered: false }, notCovered],
  ['… and after it said yes', { isCovered: false, bankAnswer: yes }, notCovered],
  ['processed is for good', { status: 'processed', bankAnswer: yes }, { is: 'nothing' }],
  ['failed is for good', { status: 'failed', isCovered: false }, { is: 'nothing' }],
  ['… whatever its time', { status: 'failed', dueInMs: 500 }, { is: 'nothing' }],
])('%s', (_rule, over, step) => {
  expect(nextRefundStep({ ...fresh, ...over })).toMatchObject(step)
})

test('whatever the rows say: nothing moves before its time, and money goes back only when covered, on a stored yes', () => {
  const anyRefund = fc.record({
    status: fc.constantFrom('pending', 'processed', 'failed'),
    dueInMs: fc.double({ min: -1e9, max: 1e9, noNaN: true }),
    bankAnswer: fc.constantFrom(null, yes, no),
    isCovered: fc.boolean(),
  })
  fc.assert(
    fc.property(anyRefund, (over) => {
      const step = nextRefundStep({ ...fresh, ...over })
      const isIdle = step.is === 'nothing' || step.is === 'look_again'
      expect(isIdle).toBe(over.status !== 'pending' || over.dueInMs > 0)
      if (step.is === 'succeed') expect([over.isCovered, over.bankAnswer?.outcome]).toEqual([true, 'success'])
      if (step.is === 'ask') expect([over.isCovered, over.bankAnswer]).toEqual([true, null])
      if (step.is === 'look_again') {
        expect(Number.isSafeInteger(step.inMs) && step.inMs >= over.dueInMs).toBe(true)
      }
    }),
    { numRuns: 1000 },
  )
})
