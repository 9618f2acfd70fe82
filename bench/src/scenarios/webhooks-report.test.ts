// Tests of what counts as a problem of webhooks, and as isolation; slowness is a result.
import { expect, test } from 'vitest'
import { isIsolated, problemsOf } from './webhooks-report.ts'
import type { Measured, Stream } from './webhooks-results.ts'

const cpuSeconds = { server: 1, worker: 1, postgres: 1, generator: 1 }
const slow = { p50: 9000, p95: 9000, p99: 9000, max: 9000 }
const load = {
  sent: 10,
  acknowledged: 10,
  otherStatuses: {},
  lost: 0,
  unacknowledged: [],
  acknowledgedPerSecond: 1,
  latencyMs: { count: 10, ...slow },
  generatorCpuSeconds: 1,
}
const stream: Stream = { load, toAttempt: slow, toArrival: slow, cpuSeconds, ledger: 'ok (10 deliveries)' }
const right: Measured = {
  backend: 'redis',
  heap: {
    deliveries: 10,
    perSecond: 1,
    seconds: 10,
    beginsAfterMs: 999,
    cpuSeconds,
    ledger: 'ok (10 deliveries)',
  },
  alone: stream,
  beside: stream,
  hanging: [
    { where: 'DNS', outcomes: { dns: 20 } },
    { where: 'connect', outcomes: { timeout: 20 } },
    { where: 'header', outcomes: { timeout: 20 } },
  ],
}

test('slow deliveries whose ledger is right have no problem', () => {
  expect(problemsOf(right)).toEqual([])
})

test('a wrong ledger, other statuses, and endpoints that did not hang are problems', () => {
  const broken: Measured = {
    ...right,
    heap: { ...right.heap, ledger: '1 NEVER POSTED' },
    alone: { ...stream, load: { ...load, otherStatuses: { 503: 2 }, lost: 1 } },
    beside: { ...stream, ledger: '1 POSTED MORE THAN ONCE' },
    hanging: [
      { where: 'DNS', outcomes: { dns: 19, refused: 1 } },
      { where: 'connect', outcomes: { refused: 20 } },
      { where: 'header', outcomes: {} },
    ],
  }
  expect(problemsOf(broken)).toEqual([
    'webhooks, redis: heap: 1 NEVER POSTED',
    'webhooks, redis: alone: responses 2×503',
    'webhooks, redis: alone: 1 without a response',
    'webhooks, redis: beside: 1 POSTED MORE THAN ONCE',
    'webhooks, redis: did not hang as it should: DNS 19×dns 1×refused',
    'webhooks, redis: did not hang as it should: connect 20×refused',
    'webhooks, redis: did not hang as it should: header ',
  ])
})

test.each([
  [10, 62, true],
  [10, 62.1, false],
])('beside a p95 of %s ms alone, one of %s ms is isolated: %s', (alone, beside, expected) => {
  const with95 = (p95: number) => ({ ...stream, toAttempt: { ...slow, p95 } })
  expect(isIsolated({ alone: with95(alone), beside: with95(beside) })).toBe(expected)
})
