// Tests of what counts as a problem of a load: responses, lost requests and the ledger, not slowness.
import { expect, test } from 'vitest'
import { loadProblems } from './scenario.ts'

const load = {
  sent: 10,
  acknowledged: 10,
  otherStatuses: {},
  lost: 0,
  unacknowledged: [],
  acknowledgedPerSecond: 1,
  latencyMs: { count: 10, p50: 900, p99: 9000, max: 9000 },
  generatorCpuSeconds: 1,
}

test('a slow load whose ledger is right has no problem', () => {
  expect(loadProblems('redis, 200/s', { load, ledger: 'ok (10 payments)' })).toEqual([])
})

test('another status, a missing response and a wrong ledger are problems', () => {
  const broken = { ...load, otherStatuses: { 400: 1, 503: 2 }, lost: 1 }
  expect(loadProblems('redis, 200/s', { load: broken, ledger: '1 NOT SETTLED' })).toEqual([
    'redis, 200/s: responses 1×400 2×503',
    'redis, 200/s: 1 without a response',
    'redis, 200/s: 1 NOT SETTLED',
  ])
})
