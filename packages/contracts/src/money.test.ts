// Currencies with their decimals, and amounts in major units.
import { data } from 'currency-codes'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { currencyDecimals, majorAmountProblem } from './money.ts'

test('decimals are those of ISO 4217, not of Intl', () => {
  expect(['JPY', 'INR', 'KWD', 'IQD', 'CLF', 'XCG'].map(currencyDecimals)).toEqual([0, 2, 3, 3, 4, 2])
  expect(['XYZ', 'inr', '', '__proto__', 'constructor'].map(currencyDecimals)).toEqual(
    Array(5).fill(undefined),
  )
})

test.each([
  [1500, 'INR'],
  [150.5, 'USD'],
  [0.01, 'USD'],
  [0.001, 'KWD'],
  [999_999_999_999, 'JPY'],
  [999_999_999_998.99, 'INR'],
  [1e3, 'JPY'],
])('%d %s is an amount', (amount, currency) => {
  expect(majorAmountProblem(amount, currency)).toBeUndefined()
})

test.each([
  [0, 'INR', 'amount'],
  [-1, 'INR', 'amount'],
  [Number.NaN, 'INR', 'amount'],
  [1e12, 'INR', 'amount'],
  [0.001, 'USD', 'amount'],
  [1.5, 'JPY', 'amount'],
  [1e-7, 'KWD', 'amount'],
  [1.5e-7, 'KWD', 'amount'],
  [1, 'XYZ', 'currency'],
])('%d %s is refused for its %s', (amount, currency, field) => {
  expect(majorAmountProblem(amount, currency)?.field).toBe(field)
})

test('each number of minor units is an amount, and one more decimal is not', () => {
  const currency = fc.constantFrom(...data.filter((entry) => entry.digits < 4))
  fc.assert(
    fc.property(currency, fc.integer({ min: 1, max: 999_999_999 }), ({ code, digits }, units) => {
      expect(majorAmountProblem(Number(`${units}e-${digits}`), code)).toBeUndefined()
      expect(majorAmountProblem(Number(`${units}1e-${digits + 1}`), code)?.field).toBe('amount')
    }),
  )
})
