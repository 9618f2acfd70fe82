// Who may begin how many attempts: limits, the share of retries, the order of those who wait, and an endpoint that hangs.
import { describe, expect, test } from 'vitest'
import type { ClaimedAttempt, Wish } from './attempts.ts'
import { createEndpoints, type Endpoints, type Manner } from './endpoints.ts'

const SLOTS = 256
const RETRY_SLOTS = 64

/** What a claim answers, as far as endpoints look at it. */
const attempt = (merchantId: string, isRetry: boolean) => ({ merchantId, isRetry }) as ClaimedAttempt

/** As many as wished for, or as many as there are. */
function claim(endpoints: Endpoints, there: (wish: Wish) => number = ({ count }) => count): ClaimedAttempt[] {
  const wishes = endpoints.wishes()
  endpoints.begin(wishes)
  const attempts = wishes.flatMap((wish) =>
    Array.from({ length: Math.min(there(wish), wish.count) }, () => attempt(wish.merchantId, wish.isRetry)),
  )
  endpoints.claimed(wishes, attempts)
  return attempts
}

const end = (endpoints: Endpoints, attempts: readonly ClaimedAttempt[], manner: Manner = 'soon') => {
  for (const { merchantId, isRetry } of attempts) endpoints.finished(merchantId, isRetry, manner)
}
/** Endpoints that have answered soon, once. */
const knowing = (merchants: readonly string[]): Endpoints => {
  const endpoints = createEndpoints()
  for (const merchant of merchants) {
    first(endpoints, merchant)
    end(
      endpoints,
      claim(endpoints, () => 1),
    )
  }
  return endpoints
}
const onlyFirst = ({ isRetry, count }: Wish) => (isRetry ? 0 : count)
const onlyRetries = ({ isRetry, count }: Wish) => (isRetry ? count : 0)
const total = (wishes: readonly Wish[]) => wishes.reduce((sum, { count }) => sum + count, 0)
const names = (count: number) => Array.from({ length: count }, (_, at) => `m${at}`)
const first = (endpoints: Endpoints, ...merchants: string[]) => {
  for (const merchant of merchants) endpoints.wake(merchant, false)
}
/** Both kinds. */
const wakeAll = (endpoints: Endpoints, merchants: readonly string[]) => {
  for (const merchant of merchants) {
    endpoints.wake(merchant, false)
    endpoints.wake(merchant, true)
  }
}

test('who is not woken wishes nothing, and who has got all that was due neither', () => {
  const endpoints = createEndpoints()
  expect(endpoints.wishes()).toEqual([])
  first(endpoints, 'a')
  expect(claim(endpoints, ({ isRetry }) => (isRetry ? 0 : 1))).toHaveLength(1)
  claim(endpoints, () => 0)
  expect(endpoints.wishes()).toEqual([])
})

test('who is woken while its claim is under way is looked at once more, however little that claim found', () => {
  const endpoints = createEndpoints()
  first(endpoints, 'a')
  const wishes = endpoints.wishes()
  endpoints.begin(wishes)
  expect(endpoints.wishes()).toEqual([])
  first(endpoints, 'a')
  endpoints.claimed(wishes, [])
  expect(total(endpoints.wishes())).toBeGreaterThan(0)
})

describe('the limit of an endpoint', () => {
  const sizesOf = (manners: readonly Manner[], endpoints = createEndpoints()) =>
    manners.map((manner) => {
      first(endpoints, 'a')
      const attempts = claim(endpoints, onlyFirst)
      end(endpoints, attempts.splice(0, 1), manner) // the others are not tried
      for (const { merchantId, isRetry } of attempts) endpoints.finished(merchantId, isRetry, undefined)
      return attempts.length + 1
    })
  const times = <T>(count: number, value: T): T[] => Array(count).fill(value)

  test('is 2 until it is tried; the surplus waits, and the first answer lets more of it go', () => {
    const endpoints = createEndpoints()
    first(endpoints, 'a')
    const attempts = claim(endpoints, onlyFirst)
    expect(attempts).toHaveLength(2)
    expect(endpoints.countAtLimit()).toBe(1)
    expect(endpoints.wishes()).toEqual([])
    end(endpoints, attempts.splice(0, 1))
    expect(total(endpoints.wishes())).toBe(7) // of 8, one is under way
    expect(endpoints.countAtLimit()).toBe(0)
  })

  test('grows with answers to 32, and no further', () => {
    expect(sizesOf(times(30, 'soon'))).toEqual([
      2,
      ...Array.from({ length: 25 }, (_, i) => 8 + i),
      ...times(4, 32),
    ])
  })

  test('is 8 at most for who answers late, however soon it answered before', () => {
    expect(sizesOf([...times(20, 'soon' as const), ...times(3, 'late' as const)]).slice(-3)).toEqual([
      27, 8, 8,
    ])
    expect(sizesOf(times(10, 'late'))).toEqual([2, 3, 4, 5, 6, 7, 8, 8, 8, 8])
  })

  test('is one for who does not answer, and recovers with its answers', () => {
    expect(sizesOf(['soon', 'soon', 'silent', 'silent', 'soon', 'late', 'soon'])).toEqual([
      2, 8, 9, 1, 1, 2, 3,
    ])
  })

  test('stays what it is by attempts that were not made', () => {
    const endpoints = createEndpoints()
    first(endpoints, 'a')
    for (const { merchantId, isRetry } of claim(endpoints)) endpoints.finished(merchantId, isRetry, undefined)
    expect(sizesOf(['soon'], endpoints)).toEqual([2])
  })

  test('is one for an unknown one that somebody else found silent; who knows it, knows better', () => {
    const endpoints = knowing(['known'])
    endpoints.wake('known', false, true)
    endpoints.wake('unknown', false, true)
    expect(endpoints.wishes().map(({ merchantId, count }) => [merchantId, count])).toEqual([
      ['known', 8],
      ['unknown', 1],
    ])
  })

  test('counts first attempts and retries together', () => {
    const endpoints = knowing(['a'])
    wakeAll(endpoints, ['a'])
    const wishes = endpoints.wishes()
    expect(wishes).toEqual([
      { merchantId: 'a', isRetry: false, count: 6 },
      { merchantId: 'a', isRetry: true, count: 2 },
    ])
    endpoints.begin(wishes)
    wakeAll(endpoints, ['a'])
    expect(endpoints.wishes()).toEqual([])
  })

  test('of one who hangs: what is under way beyond one ends, and nothing begins meanwhile', () => {
    const endpoints = knowing(['hangs'])
    first(endpoints, 'hangs')
    const attempts = claim(endpoints, onlyFirst)
    for (let left = attempts.length; left > 1; left -= 1) {
      end(endpoints, attempts.splice(0, 1), 'silent')
      first(endpoints, 'hangs')
      expect(endpoints.wishes(), `${left - 1} under way`).toEqual([])
    }
    end(endpoints, attempts, 'silent')
    expect(claim(endpoints, onlyFirst)).toHaveLength(1)
    expect(endpoints.countAtLimit()).toBe(1)
    first(endpoints, 'hangs')
    expect(endpoints.wishes()).toEqual([])
  })
})

describe('the slots of the process', () => {
  test('are 192 for first attempts and 64 for retries, however many endpoints have something due', () => {
    const endpoints = knowing(names(100))
    wakeAll(endpoints, names(100))
    expect(claim(endpoints, onlyFirst)).toHaveLength(SLOTS - RETRY_SLOTS)
    wakeAll(endpoints, names(100))
    const wishes = endpoints.wishes()
    expect(wishes.filter(({ isRetry }) => !isRetry)).toEqual([])
    expect(total(wishes)).toBe(RETRY_SLOTS)
  })

  test('that retries fill leave those of first attempts free', () => {
    const endpoints = knowing(names(100))
    wakeAll(endpoints, names(100))
    while (claim(endpoints, onlyRetries).length > 0) wakeAll(endpoints, names(100))
    wakeAll(endpoints, names(100))
    const wishes = endpoints.wishes()
    expect(wishes.filter(({ isRetry }) => isRetry)).toEqual([])
    expect(total(wishes)).toBe(SLOTS - RETRY_SLOTS)
  })

  test('that a claim did not need are free again', () => {
    const endpoints = knowing(names(100))
    for (let round = 0; round < 100; round += 1) {
      wakeAll(endpoints, names(100))
      claim(endpoints, () => 0)
    }
    wakeAll(endpoints, names(100))
    expect(total(endpoints.wishes())).toBe(SLOTS)
    expect(endpoints.countAtLimit()).toBe(0)
  })

  test('are free again when attempts end, whatever their end', () => {
    const endpoints = createEndpoints()
    for (let round = 0; round < 51; round += 1) {
      wakeAll(endpoints, names(100))
      end(endpoints, claim(endpoints), (['soon', 'late', 'silent'] as const)[round % 3])
    }
    for (let round = 0; round < 10; round += 1) {
      wakeAll(endpoints, names(100))
      end(endpoints, claim(endpoints))
    }
    wakeAll(endpoints, names(100))
    expect(total(endpoints.wishes())).toBe(SLOTS)
  })

  test.for<Manner>(['silent', 'late'])(
    'are shared by all that are %s: half of them stay for those that answer, and these get them at once',
    (manner) => {
      const bad = names(1000).map((name) => `bad-${name}`)
      const endpoints = knowing(names(50))
      let under: ClaimedAttempt[] = []
      // Each of them had its turns: what they hold does not grow with their number.
      for (let round = 0; round < 30; round += 1) {
        wakeAll(endpoints, bad)
        end(endpoints, under, manner)
        under = claim(endpoints)
        expect(under.length).toBeLessThanOrEqual((SLOTS * 3) / 4)
      }
      expect(under).toHaveLength(SLOTS / 2)
      wakeAll(endpoints, [...bad, ...names(50)])
      const wishes = endpoints.wishes()
      expect(wishes.filter(({ merchantId }) => merchantId.startsWith('bad'))).toEqual([])
      expect(total(wishes)).toBe(SLOTS / 2)
    },
  )

  test('are shared by all that were never tried: a quarter stays for those that answer, and a quarter for them beside the silent', () => {
    const bad = names(1000).map((name) => `bad-${name}`)
    const fresh = names(1000).map((name) => `fresh-${name}`)
    const endpoints = knowing(names(50))
    wakeAll(endpoints, bad)
    end(endpoints, claim(endpoints), 'silent')
    for (const merchant of bad) endpoints.wake(merchant, false, true)
    const counts: number[] = []
    for (const merchants of [bad, fresh, names(50)]) {
      wakeAll(endpoints, merchants)
      counts.push(claim(endpoints).length)
    }
    expect(counts).toEqual([SLOTS / 2, SLOTS / 4, SLOTS / 4])
  })

  test('of retries that others hold keep nobody from its first attempt, whose turn was a retry', () => {
    const endpoints = createEndpoints()
    first(endpoints, 'x')
    end(endpoints, claim(endpoints, onlyFirst), 'silent') // now its one slot is for a retry
    const dead = names(300)
    for (const merchant of dead) endpoints.wake(merchant, true, true)
    while (claim(endpoints, onlyRetries).length > 0) {
      for (const merchant of dead) endpoints.wake(merchant, true, true)
    }
    wakeAll(endpoints, ['x'])
    expect(endpoints.wishes()).toEqual([{ merchantId: 'x', isRetry: false, count: 1 }])
  })
})

describe('in turn', () => {
  test('who waited longest comes first, and who was served waits behind all others', () => {
    const merchants = names(60)
    const endpoints = knowing(merchants)
    wakeAll(endpoints, merchants)
    const served: string[] = []
    for (let round = 0; round < 5; round += 1) {
      const attempts = claim(endpoints, onlyFirst)
      served.push(...new Set(attempts.map(({ merchantId }) => merchantId)))
      end(endpoints, attempts)
      wakeAll(endpoints, merchants)
    }
    // 192 slots: two dozen endpoints or so in each round, and all of them before anybody is served twice.
    expect(served.slice(0, 60)).toEqual(merchants)
  })

  test('retries are in turn too, for their own slots', () => {
    const merchants = names(20)
    const endpoints = knowing(merchants)
    for (const merchant of merchants) endpoints.wake(merchant, true)
    const served: string[] = []
    for (let round = 0; round < 4; round += 1) {
      const attempts = claim(endpoints, onlyRetries)
      served.push(...new Set(attempts.map(({ merchantId }) => merchantId)))
      end(endpoints, attempts)
    }
    // 64 slots: seven endpoints or so in each round.
    expect(served.slice(0, 20)).toEqual(merchants)
  })

  test('an endpoint whose first attempts never run out gets to its retries all the same', () => {
    const endpoints = createEndpoints()
    let retries = 0
    for (let round = 0; round < 100; round += 1) {
      wakeAll(endpoints, ['busy'])
      const attempts = claim(endpoints)
      retries += attempts.filter(({ isRetry }) => isRetry).length
      end(endpoints, attempts)
    }
    expect(retries).toBeGreaterThan(0)
  })
})

describe('of very many endpoints', () => {
  /** Whom claims are made for until nobody wishes any, when there is nothing due. */
  function findNothing(endpoints: Endpoints): Set<string> {
    const asked = new Set<string>()
    for (let wishes = endpoints.wishes(); wishes.length > 0; wishes = endpoints.wishes()) {
      for (const { merchantId } of wishes) asked.add(merchantId)
      endpoints.begin(wishes)
      endpoints.claimed(wishes, [])
    }
    return asked
  }

  test('the quiet ones are forgotten, and none that is woken', () => {
    const endpoints = createEndpoints()
    wakeAll(endpoints, names(10_000))
    findNothing(endpoints)
    wakeAll(endpoints, ['new', 'newer'])
    expect([...findNothing(endpoints)]).toEqual(['new', 'newer'])
  })

  test('one more than are kept is not lost while all of them wait', () => {
    const endpoints = createEndpoints()
    wakeAll(endpoints, names(10_001))
    expect(findNothing(endpoints).size).toBe(10_001)
  })
})
