// The scheduler's bulkheads: pools of slots by kind of attempt and by health of endpoint.
import { describe, expect, test } from 'vitest'
import type { LeasedAttempt } from './attempt-leases.ts'
import type { EndpointHealth } from './endpoint-limit.ts'
import {
  end,
  first,
  lease,
  names,
  onlyFirst,
  onlyRetries,
  total,
  wakeAll,
  withFastEndpoints,
} from './endpoint-scheduler.fixture.ts'
import { createEndpointScheduler } from './endpoint-scheduler.ts'

const SLOTS = 256
const RETRY_SLOTS = 64

describe('the slots of the process', () => {
  test('are 192 for first attempts and 64 for retries, for any number of endpoints', () => {
    const scheduler = withFastEndpoints(names(100))
    wakeAll(scheduler, names(100))
    expect(lease(scheduler, onlyFirst)).toHaveLength(SLOTS - RETRY_SLOTS)
    wakeAll(scheduler, names(100))
    const quotas = scheduler.quotas()
    expect(quotas.filter(({ isRetry }) => !isRetry)).toEqual([])
    expect(total(quotas)).toBe(RETRY_SLOTS)
  })

  test('of retries can be full while those of first attempts are free', () => {
    const scheduler = withFastEndpoints(names(100))
    wakeAll(scheduler, names(100))
    while (lease(scheduler, onlyRetries).length > 0) wakeAll(scheduler, names(100))
    wakeAll(scheduler, names(100))
    const quotas = scheduler.quotas()
    expect(quotas.filter(({ isRetry }) => isRetry)).toEqual([])
    expect(total(quotas)).toBe(SLOTS - RETRY_SLOTS)
  })

  test('that a lease did not need are free again', () => {
    const scheduler = withFastEndpoints(names(100))
    for (let round = 0; round < 100; round += 1) {
      wakeAll(scheduler, names(100))
      lease(scheduler, () => 0)
    }
    wakeAll(scheduler, names(100))
    expect(total(scheduler.quotas())).toBe(SLOTS)
    expect(scheduler.countAtLimit()).toBe(0)
  })

  test('are free again when attempts end, for every health', () => {
    const scheduler = createEndpointScheduler()
    for (let round = 0; round < 51; round += 1) {
      wakeAll(scheduler, names(100))
      end(scheduler, lease(scheduler), (['fast', 'slow', 'unresponsive'] as const)[round % 3])
    }
    for (let round = 0; round < 10; round += 1) {
      wakeAll(scheduler, names(100))
      end(scheduler, lease(scheduler))
    }
    wakeAll(scheduler, names(100))
    expect(total(scheduler.quotas())).toBe(SLOTS)
  })

  test.for<EndpointHealth>(['unresponsive', 'slow'])(
    'are shared by all %s endpoints: half of them stay for fast endpoints, which get them at once',
    (health) => {
      const bad = names(1000).map((name) => `bad-${name}`)
      const scheduler = withFastEndpoints(names(50))
      let inFlight: LeasedAttempt[] = []
      // Each of them has had its turns: what they hold does not grow with their number.
      for (let round = 0; round < 30; round += 1) {
        wakeAll(scheduler, bad)
        end(scheduler, inFlight, health)
        inFlight = lease(scheduler)
        expect(inFlight.length).toBeLessThanOrEqual((SLOTS * 3) / 4)
      }
      expect(inFlight).toHaveLength(SLOTS / 2)
      wakeAll(scheduler, [...bad, ...names(50)])
      const quotas = scheduler.quotas()
      expect(quotas.filter(({ merchantId }) => merchantId.startsWith('bad'))).toEqual([])
      expect(total(quotas)).toBe(SLOTS / 2)
    },
  )

  test('are shared by all untried endpoints: a quarter stays for fast ones, and untried ones get a quarter beside unresponsive ones', () => {
    const bad = names(1000).map((name) => `bad-${name}`)
    const fresh = names(1000).map((name) => `fresh-${name}`)
    const scheduler = withFastEndpoints(names(50))
    wakeAll(scheduler, bad)
    end(scheduler, lease(scheduler), 'unresponsive')
    for (const merchant of bad) scheduler.wakeUp(merchant, false, true)
    const counts: number[] = []
    for (const merchants of [bad, fresh, names(50)]) {
      wakeAll(scheduler, merchants)
      counts.push(lease(scheduler).length)
    }
    expect(counts).toEqual([SLOTS / 2, SLOTS / 4, SLOTS / 4])
  })

  test('of retries that other endpoints hold do not delay the first attempt of an endpoint whose turn was a retry', () => {
    const scheduler = createEndpointScheduler()
    first(scheduler, 'x')
    end(scheduler, lease(scheduler, onlyFirst), 'unresponsive') // now its only slot is for a retry
    const dead = names(300)
    for (const merchant of dead) scheduler.wakeUp(merchant, true, true)
    while (lease(scheduler, onlyRetries).length > 0) {
      for (const merchant of dead) scheduler.wakeUp(merchant, true, true)
    }
    wakeAll(scheduler, ['x'])
    expect(scheduler.quotas()).toEqual([{ merchantId: 'x', isRetry: false, count: 1 }])
  })
})
