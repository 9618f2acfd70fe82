// The endpoint scheduler: adaptive limits of endpoints, and round robin between them.
import { describe, expect, test } from 'vitest'
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
import { createEndpointScheduler, type EndpointScheduler } from './endpoint-scheduler.ts'

test('an endpoint gets no quota without a wake-up, nor once nothing more of it is due', () => {
  const scheduler = createEndpointScheduler()
  expect(scheduler.quotas()).toEqual([])
  first(scheduler, 'a')
  expect(lease(scheduler, ({ isRetry }) => (isRetry ? 0 : 1))).toHaveLength(1)
  lease(scheduler, () => 0)
  expect(scheduler.quotas()).toEqual([])
})

test('a wake-up during a lease queues the endpoint again, even if the lease found nothing', () => {
  const scheduler = createEndpointScheduler()
  first(scheduler, 'a')
  const quotas = scheduler.quotas()
  scheduler.begin(quotas)
  expect(scheduler.quotas()).toEqual([])
  first(scheduler, 'a')
  scheduler.leased(quotas, [])
  expect(total(scheduler.quotas())).toBeGreaterThan(0)
})

describe('the limit of an endpoint', () => {
  const sizesOf = (healths: readonly EndpointHealth[], scheduler = createEndpointScheduler()) =>
    healths.map((health) => {
      first(scheduler, 'a')
      const attempts = lease(scheduler, onlyFirst)
      end(scheduler, attempts.splice(0, 1), health) // the others send nothing
      for (const { merchantId, isRetry } of attempts) scheduler.ended(merchantId, isRetry, undefined)
      return attempts.length + 1
    })
  const times = <T>(count: number, value: T): T[] => Array(count).fill(value)

  test('is 2 until the first attempt ends; the surplus waits, and the first response releases more of it', () => {
    const scheduler = createEndpointScheduler()
    first(scheduler, 'a')
    const attempts = lease(scheduler, onlyFirst)
    expect(attempts).toHaveLength(2)
    expect(scheduler.countAtLimit()).toBe(1)
    expect(scheduler.quotas()).toEqual([])
    end(scheduler, attempts.splice(0, 1))
    expect(total(scheduler.quotas())).toBe(7) // of 8, one is in flight
    expect(scheduler.countAtLimit()).toBe(0)
  })

  test('grows by one with each fast response, up to 32', () => {
    expect(sizesOf(times(30, 'fast'))).toEqual([
      2,
      ...Array.from({ length: 25 }, (_, i) => 8 + i),
      ...times(4, 32),
    ])
  })

  test('is at most 8 while responses are slow, however fast they were before', () => {
    expect(sizesOf([...times(20, 'fast' as const), ...times(3, 'slow' as const)]).slice(-3)).toEqual([
      27, 8, 8,
    ])
    expect(sizesOf(times(10, 'slow'))).toEqual([2, 3, 4, 5, 6, 7, 8, 8, 8, 8])
  })

  test('is one while an endpoint is unresponsive, and recovers with its responses', () => {
    expect(sizesOf(['fast', 'fast', 'unresponsive', 'unresponsive', 'fast', 'slow', 'fast'])).toEqual([
      2, 8, 9, 1, 1, 2, 3,
    ])
  })

  test('does not change by attempts that sent nothing', () => {
    const scheduler = createEndpointScheduler()
    first(scheduler, 'a')
    for (const { merchantId, isRetry } of lease(scheduler)) scheduler.ended(merchantId, isRetry, undefined)
    expect(sizesOf(['fast'], scheduler)).toEqual([2])
  })

  test('is one for an untried endpoint that another worker found unresponsive; own knowledge has priority', () => {
    const scheduler = withFastEndpoints(['known'])
    scheduler.wakeUp('known', false, true)
    scheduler.wakeUp('unknown', false, true)
    expect(scheduler.quotas().map(({ merchantId, count }) => [merchantId, count])).toEqual([
      ['known', 8],
      ['unknown', 1],
    ])
  })

  test('counts first attempts and retries together', () => {
    const scheduler = withFastEndpoints(['a'])
    wakeAll(scheduler, ['a'])
    const quotas = scheduler.quotas()
    expect(quotas).toEqual([
      { merchantId: 'a', isRetry: false, count: 6 },
      { merchantId: 'a', isRetry: true, count: 2 },
    ])
    scheduler.begin(quotas)
    wakeAll(scheduler, ['a'])
    expect(scheduler.quotas()).toEqual([])
  })

  test('of a hanging endpoint lets the attempts in flight end and begins none before only one is left', () => {
    const scheduler = withFastEndpoints(['hangs'])
    first(scheduler, 'hangs')
    const attempts = lease(scheduler, onlyFirst)
    for (let left = attempts.length; left > 1; left -= 1) {
      end(scheduler, attempts.splice(0, 1), 'unresponsive')
      first(scheduler, 'hangs')
      expect(scheduler.quotas(), `${left - 1} in flight`).toEqual([])
    }
    end(scheduler, attempts, 'unresponsive')
    expect(lease(scheduler, onlyFirst)).toHaveLength(1)
    expect(scheduler.countAtLimit()).toBe(1)
    first(scheduler, 'hangs')
    expect(scheduler.quotas()).toEqual([])
  })
})

describe('round robin', () => {
  test('the endpoint that waited longest comes first, and a served endpoint waits behind all others', () => {
    const merchants = names(60)
    const scheduler = withFastEndpoints(merchants)
    wakeAll(scheduler, merchants)
    const served: string[] = []
    for (let round = 0; round < 5; round += 1) {
      const attempts = lease(scheduler, onlyFirst)
      served.push(...new Set(attempts.map(({ merchantId }) => merchantId)))
      end(scheduler, attempts)
      wakeAll(scheduler, merchants)
    }
    // 192 slots: about 24 endpoints in each round, and all of them before any is served twice.
    expect(served.slice(0, 60)).toEqual(merchants)
  })

  test('retries are served round robin too, from their own slots', () => {
    const merchants = names(20)
    const scheduler = withFastEndpoints(merchants)
    for (const merchant of merchants) scheduler.wakeUp(merchant, true)
    const served: string[] = []
    for (let round = 0; round < 4; round += 1) {
      const attempts = lease(scheduler, onlyRetries)
      served.push(...new Set(attempts.map(({ merchantId }) => merchantId)))
      end(scheduler, attempts)
    }
    // 64 slots: about seven endpoints in each round.
    expect(served.slice(0, 20)).toEqual(merchants)
  })

  test('an endpoint with an endless supply of first attempts still gets its retries', () => {
    const scheduler = createEndpointScheduler()
    let retries = 0
    for (let round = 0; round < 100; round += 1) {
      wakeAll(scheduler, ['busy'])
      const attempts = lease(scheduler)
      retries += attempts.filter(({ isRetry }) => isRetry).length
      end(scheduler, attempts)
    }
    expect(retries).toBeGreaterThan(0)
  })
})

describe('with very many endpoints', () => {
  /** Leases, with nothing due, until there are no quotas left; returns the endpoints that got one. */
  function leaseNothing(scheduler: EndpointScheduler): Set<string> {
    const served = new Set<string>()
    for (let quotas = scheduler.quotas(); quotas.length > 0; quotas = scheduler.quotas()) {
      for (const { merchantId } of quotas) served.add(merchantId)
      scheduler.begin(quotas)
      scheduler.leased(quotas, [])
    }
    return served
  }

  test('idle ones are forgotten, and ready ones are not', () => {
    const scheduler = createEndpointScheduler()
    wakeAll(scheduler, names(10_000))
    leaseNothing(scheduler)
    wakeAll(scheduler, ['new', 'newer'])
    expect([...leaseNothing(scheduler)]).toEqual(['new', 'newer'])
  })

  test('no ready endpoint is lost when more are ready than the scheduler keeps', () => {
    const scheduler = createEndpointScheduler()
    wakeAll(scheduler, names(10_001))
    expect(leaseNothing(scheduler).size).toBe(10_001)
  })
})
