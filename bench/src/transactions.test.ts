// Tests of the transactions that a run sends: distinct ids and valid amounts.
import { expect, test } from 'vitest'
import { randomFields, transactionId } from './transactions.ts'

test('ids of a run are distinct', () => {
  const ids = new Set(Array.from({ length: 100_000 }, (_, sequence) => transactionId('run00000', sequence)))
  expect(ids.size).toBe(100_000)
})

test('amounts are positive and have no more decimals than their currency', () => {
  const decimals: Record<string, number> = { JPY: 0, KWD: 3 }
  for (let i = 0; i < 5000; i++) {
    const { amount, currency } = randomFields()
    expect(amount).toBeGreaterThan(0)
    expect(String(amount).split('.')[1]?.length ?? 0).toBeLessThanOrEqual(decimals[currency] ?? 2)
  }
})
