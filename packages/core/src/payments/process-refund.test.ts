// The next step of a refund, decided from its row and its payment.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { BankResponse } from './bank.ts'
import { type LockedRefund, nextRefundStep } from './process-refund.ts'

/** A new refund of a payment that covers it. */
const fresh: LockedRefund = {
  id: 'rfnd_0000000000000001',
  paymentId: 'pay_0000000000000001',
  merchantId: '550e8400-e29b-41d4-a716-446655440000',
  status: 'pending',
  amount: 10_000,
  currency: 'INR',
  scenario: null,
  requestId: 'r-1',
  dueInMs: -1,
  bankResponse: null,
  isCovered: true,
}

const success: BankResponse = { outcome: 'success', settlesInMs: 3000 }
const failure: BankResponse = {
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

test.each<[string, Partial<LockedRefund>, object]>([
  ['a new refund asks the bank', {}, { is: 'ask' }],
  ['a refund that is due right now asks', { dueInMs: 0 }, { is: 'ask' }],
  ['a refund whose response a crash lost asks a second time', { dueInMs: -60_000 }, { is: 'ask' }],
  [
    'a refund at the bank snoozes until the bank settles',
    { bankResponse: success, dueInMs: 2999.1 },
    { is: 'snooze', forMs: 3000 },
  ],
  [
    'a refund is processed when its success response has settled',
    { bankResponse: success },
    { is: 'succeed' },
  ],
  [
    'a refund fails with the bank’s error when its failure response has settled',
    { bankResponse: failure },
    {
      is: 'fail',
      cause: 'bank',
      failure: { errorCode: 'REFUND_FAILED', errorDescription: 'The refund was refused' },
    },
  ],
  [
    'a refund that its payment does not cover fails before it asks the bank',
    { isCovered: false },
    notCovered,
  ],
  [
    'a refund that its payment does not cover fails even after a success response',
    { isCovered: false, bankResponse: success },
    notCovered,
  ],
  ['a processed refund stays processed', { status: 'processed', bankResponse: success }, { is: 'nothing' }],
  ['a failed refund stays failed', { status: 'failed', isCovered: false }, { is: 'nothing' }],
  ['a failed refund stays failed before its due time', { status: 'failed', dueInMs: 500 }, { is: 'nothing' }],
])('%s', (_rule, over, step) => {
  expect(nextRefundStep({ ...fresh, ...over })).toMatchObject(step)
})

test('for any rows: no refund moves early, and money is returned only when covered and after a stored success', () => {
  const anyRefund = fc.record({
    status: fc.constantFrom('pending', 'processed', 'failed'),
    dueInMs: fc.double({ min: -1e9, max: 1e9, noNaN: true }),
    bankResponse: fc.constantFrom(null, success, failure),
    isCovered: fc.boolean(),
  })
  fc.assert(
    fc.property(anyRefund, (over) => {
      const step = nextRefundStep({ ...fresh, ...over })
      const isIdle = step.is === 'nothing' || step.is === 'snooze'
      expect(isIdle).toBe(over.status !== 'pending' || over.dueInMs > 0)
      if (step.is === 'succeed')
        expect([over.isCovered, over.bankResponse?.outcome]).toEqual([true, 'success'])
      if (step.is === 'ask') expect([over.isCovered, over.bankResponse]).toEqual([true, null])
      if (step.is === 'snooze') {
        expect(Number.isSafeInteger(step.forMs) && step.forMs >= over.dueInMs).toBe(true)
      }
    }),
    { numRuns: 1000 },
  )
})
