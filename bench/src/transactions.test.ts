// Ids of a run are distinct, and the in-place writer agrees with the function that names them.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newRun, writeIdDigits } from './ids.ts'
import { bodyTemplate, randomFields, transactionId } from './transactions.ts'

test('writing the digits in place gives the body of that id', () => {
  const run = newRun()
  const template = bodyTemplate(run)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10_000_000 }), (sequence) => {
      const bytes = Buffer.from(template.body)
      writeIdDigits(bytes, template.digitsAt, sequence)
      expect(JSON.parse(bytes.toString()).transaction_id).toBe(transactionId(run, sequence))
    }),
  )
})

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
