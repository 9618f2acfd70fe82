// The summary bar's sums.
import { expect, test } from 'vitest'
import { totalsByCurrency } from './totals.ts'

const total = (currency: string, count: number, amount: number, refunded_amount = 0) => ({
  currency,
  status: 'completed' as const,
  count,
  amount,
  refunded_amount,
})

test('statuses of one currency are added, currencies never', () => {
  expect(
    totalsByCurrency([total('USD', 2, 50_000), total('EUR', 1, 9_900), total('USD', 1, 25_000, 5_000)]),
  ).toEqual([
    { currency: 'USD', count: 3, amount: 75_000, refunded: 5_000 },
    { currency: 'EUR', count: 1, amount: 9_900, refunded: 0 },
  ])
})

test('the currency of the most payments comes first, equals by name', () => {
  const order = totalsByCurrency([total('JPY', 1, 5), total('EUR', 1, 9), total('USD', 7, 1)])
  expect(order.map(({ currency }) => currency)).toEqual(['USD', 'EUR', 'JPY'])
})

test('nothing sums to nothing', () => {
  expect(totalsByCurrency([])).toEqual([])
})
