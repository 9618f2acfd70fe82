// Tests of the ledger's verdict: "ok" only when no fault occurred.
import { expect, test } from 'vitest'
import { isRight, verdict } from './ledger.ts'

const MISSING = { count: 0, what: 'ACKNOWLEDGED BUT MISSING' }
const WRONG = { count: 0, what: 'PAYMENTS WRONG', example: undefined }
const verdictOf = (faults: { count: number; what: string; example?: string | undefined }[]) =>
  verdict({ held: { events: 6000, payments: 10 }, faults })

test('without a fault it is ok and names what the database holds', () => {
  expect(verdictOf([MISSING, WRONG])).toBe('ok (6,000 events, 10 payments)')
  expect(isRight(verdictOf([MISSING, WRONG]))).toBe(true)
})

test('it lists each fault with its count and example', () => {
  const text = verdictOf([
    { ...MISSING, count: 3 },
    { ...WRONG, count: 2, example: 'pay_1: missing' },
  ])
  expect(text).toBe('3 ACKNOWLEDGED BUT MISSING, 2 PAYMENTS WRONG (pay_1: missing)')
  expect(isRight(text)).toBe(false)
})

test('a count that is not a number is a fault', () => {
  expect(isRight(verdictOf([{ ...MISSING, count: Number.NaN }]))).toBe(false)
})
