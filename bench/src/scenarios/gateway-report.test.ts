// What counts as a problem of a gateway's load: any answer but 201, and any fault of the books. Slowness does not.
import { expect, test } from 'vitest'
import { problemsOf } from './gateway-report.ts'

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

test('a slow load whose books are right has no problem', () => {
  expect(problemsOf('redis, 200/s', { load, books: 'ok (10 payments)' })).toEqual([])
})

test('another answer, no answer and wrong books are problems each', () => {
  const broken = { ...load, otherStatuses: { 400: 1, 503: 2 }, lost: 1 }
  expect(problemsOf('redis, 200/s', { load: broken, books: '1 NOT SETTLED' })).toEqual([
    'gateway, redis, 200/s: answered 1×400 2×503',
    'gateway, redis, 200/s: 1 without an answer',
    'gateway, redis, 200/s: 1 NOT SETTLED',
  ])
})
