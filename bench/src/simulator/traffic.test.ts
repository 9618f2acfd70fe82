// Tests of the simulated traffic of transactions: rate, bursts, duplicates and conflicts.

import { seededRandom } from '@sluice/testing'
import { expect, test } from 'vitest'
import type { TransactionBody } from '../transactions.ts'
import { type PlannedRequest, planTransactions } from './traffic.ts'

const options = { rate: 100, durationSeconds: 30, duplicates: 0.2, conflicts: 0.05, burst: 50 }
const plan = (changed: Partial<typeof options> = {}) =>
  planTransactions({ ...options, ...changed }, 'run00000', seededRandom('simulated traffic'))

function byId(requests: PlannedRequest<TransactionBody>[]): Map<string, PlannedRequest<TransactionBody>[]> {
  const groups = new Map<string, PlannedRequest<TransactionBody>[]>()
  for (const request of requests) {
    const id = request.body.transaction_id
    groups.set(id, [...(groups.get(id) ?? []), request])
  }
  return groups
}

test('it sends about rate × duration transactions and the bursts, in order of time', () => {
  const requests = plan()
  const firsts = requests.filter(({ kind }) => kind === 'first').length
  expect(firsts).toBeGreaterThan(3150 - 300)
  expect(firsts).toBeLessThan(3150 + 300)
  expect(requests.map(({ atMs }) => atMs)).toEqual(requests.map(({ atMs }) => atMs).sort((a, b) => a - b))
})

test('each transaction has one first request, and duplicates are equal to it', () => {
  for (const own of byId(plan()).values()) {
    const first = own.filter(({ kind }) => kind === 'first')
    expect(first).toHaveLength(1)
    for (const { kind, body } of own) {
      if (kind === 'conflict') expect(body).not.toEqual(first[0]?.body)
      else expect(body).toEqual(first[0]?.body)
    }
  }
})

test('without duplicates, conflicts and bursts it sends each transaction once', () => {
  const requests = plan({ duplicates: 0, conflicts: 0, burst: 0 })
  expect(requests.every(({ kind }) => kind === 'first')).toBe(true)
})
