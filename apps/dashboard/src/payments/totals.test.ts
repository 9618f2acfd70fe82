// Tests of the summary bar's sums.
import { expect, test } from 'vitest'
import { totalsByCurrency } from './totals.ts'

const total = (currency: string, count: number, amount: number, refunded_amount = 0) => ({
  currency,
  status: 'completed' as const,
  count,
  amount,
  refunded_amount,
})

test('amounts of one currency are added across statuses, and currencies stay separate', () => {
  expect(
    totalsByCurrency([total('USD', 2, 50_000), total('EUR', 1, 9_900), total('USD', 1, 25_000, 5_000)]),
  ).toEqual([
    { currency: 'USD', count: 3, amount: 75_000, refunded: 5_000 },
    { currency: 'EUR', count: 1, amount: 9_900, refunded: 0 },
  ])
})

test('the currency with the most payments comes first, and equal counts sort by code', () => {
  const order = totalsByCurrency([total('JPY', 1, 5), total('EUR', 1, 9), total('USD', 7, 1)])
  expect(order.map(({ currency }) => currency)).toEqual(['USD', 'EUR', 'JPY'])
})

test('no totals give an empty list', () => {
  expect(totalsByCurrency([])).toEqual([])
})
