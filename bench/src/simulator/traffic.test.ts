// The simulated processor does what it says: its rate, its bursts, its redeliveries and its contradictions.
import { expect, test } from 'vitest'
import type { TransactionBody } from '../transactions.ts'
import { type Delivery, planTransactions } from './traffic.ts'

const options = { rate: 100, durationSeconds: 30, duplicates: 0.2, conflicts: 0.05, burst: 50 }
function byId(deliveries: Delivery<TransactionBody>[]): Map<string, Delivery<TransactionBody>[]> {
  const groups = new Map<string, Delivery<TransactionBody>[]>()
  for (const delivery of deliveries) {
    const id = delivery.body.transaction_id
    groups.set(id, [...(groups.get(id) ?? []), delivery])
  }
  return groups
}

test('sends about rate × duration transactions and the bursts, in order of time', () => {
  const deliveries = planTransactions(options, 'run00000')
  const firsts = deliveries.filter(({ kind }) => kind === 'first').length
  expect(firsts).toBeGreaterThan(3150 - 300)
  expect(firsts).toBeLessThan(3150 + 300)
  expect(deliveries.map(({ atMs }) => atMs)).toEqual(deliveries.map(({ atMs }) => atMs).sort((a, b) => a - b))
})

test('each transaction has one first delivery, and redeliveries say the same', () => {
  for (const own of byId(planTransactions(options, 'run00000')).values()) {
    const first = own.filter(({ kind }) => kind === 'first')
    expect(first).toHaveLength(1)
    for (const { kind, body } of own) {
      if (kind === 'conflict') expect(body).not.toEqual(first[0]?.body)
      else expect(body).toEqual(first[0]?.body)
    }
  }
})

test('with everything switched off it only sends each transaction once', () => {
  const deliveries = planTransactions({ ...options, duplicates: 0, conflicts: 0, burst: 0 }, 'run00000')
  expect(deliveries.every(({ kind }) => kind === 'first')).toBe(true)
})
