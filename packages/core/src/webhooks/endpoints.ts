// Which endpoints may begin how many attempts: a share for each, that shrinks while it does not answer, in the order of waiting; half of all slots for those that answer soon, however many others there are; and a quarter of all slots, and of each share, for retries.
import type { ClaimedAttempt, Wish } from './attempts.ts'

/** Attempts of a worker process under way at once. */
const SLOTS = { first: 192, retry: 64 }
/** What endpoints that are slow, silent or not known yet may hold of the slots together: the rest is for those that answer soon. */
const DOUBTFUL_SHARE = 1 / 2
/** Of one endpoint. It begins in the middle, and gets one more with each answer; one that does not answer has one slot left. */
const LIMIT_MAX = 32
/** And the most that one has which answers late. */
const LIMIT_AT_FIRST = 8
/** Endpoints that are quiet are forgotten, beyond so many. */
const ENDPOINTS_MAX = 10_000

type Kind = 'first' | 'retry'
const kinds: readonly Kind[] = ['first', 'retry']

/** How an endpoint took an attempt: whatever it answered, but soon; late; or not at all. */
export type Manner = 'soon' | 'late' | 'silent'

interface Endpoint {
  underWay: Record<Kind, number>
  limit: number
  /** Which kind gets the one slot of an endpoint that has but one. */
  nextKind: Kind
}

export interface Endpoints {
  /** There is something due, of this kind. */
  wake: (merchantId: string, isRetry: boolean) => void
  /** What may be begun now; those who waited longest first. */
  wishes: () => Wish[]
  /** The wishes are being claimed: their slots are taken. */
  begin: (wishes: readonly Wish[]) => void
  /** What came of it: slots that were not needed are free again, and who got all that was wished for may have more that is due. */
  claimed: (wishes: readonly Wish[], attempts: readonly ClaimedAttempt[]) => void
  finished: (merchantId: string, isRetry: boolean, manner: Manner) => void
  countAtLimit: () => number
}

export function createEndpoints(): Endpoints {
  const endpoints = new Map<string, Endpoint>()
  /** Who has something due, who has waited longest first. */
  const lines = { first: new Set<string>(), retry: new Set<string>() }
  const free = { ...SLOTS }
  const freeForDoubtful = { first: SLOTS.first * DOUBTFUL_SHARE, retry: SLOTS.retry * DOUBTFUL_SHARE }
  const kindOf = (isRetry: boolean): Kind => (isRetry ? 'retry' : 'first')
  const isDoubtful = ({ limit }: Endpoint) => limit <= LIMIT_AT_FIRST
  const allUnderWay = ({ underWay }: Endpoint) => underWay.first + underWay.retry

  function endpointOf(merchantId: string): Endpoint {
    const known = endpoints.get(merchantId)
    if (known !== undefined) return known
    if (endpoints.size >= ENDPOINTS_MAX) forgetQuietOnes()
    const endpoint: Endpoint = { underWay: { first: 0, retry: 0 }, limit: LIMIT_AT_FIRST, nextKind: 'first' }
    endpoints.set(merchantId, endpoint)
    return endpoint
  }

  function forgetQuietOnes(): void {
    for (const [merchantId, endpoint] of endpoints) {
      const isQuiet =
        allUnderWay(endpoint) === 0 && !lines.first.has(merchantId) && !lines.retry.has(merchantId)
      if (isQuiet) endpoints.delete(merchantId)
    }
  }

  function take(endpoint: Endpoint, kind: Kind, count: number): void {
    endpoint.underWay[kind] += count
    free[kind] -= count
    if (isDoubtful(endpoint)) freeForDoubtful[kind] -= count
  }

  function setLimit(endpoint: Endpoint, limit: number): void {
    const wasDoubtful = isDoubtful(endpoint)
    endpoint.limit = limit
    if (isDoubtful(endpoint) === wasDoubtful) return
    for (const kind of kinds) freeForDoubtful[kind] += endpoint.underWay[kind] * (wasDoubtful ? 1 : -1)
  }

  /** How many of this kind the endpoint may begin: where both are due, a quarter is for retries, or every other turn. */
  function roomOf(merchantId: string, kind: Kind): number {
    const endpoint = endpointOf(merchantId)
    const { limit, nextKind } = endpoint
    const room = Math.max(0, limit - allUnderWay(endpoint))
    if (!lines[kind === 'first' ? 'retry' : 'first'].has(merchantId)) return room
    if (room <= 1) return kind === nextKind ? room : 0
    const forRetries = Math.max(1, Math.floor(room / 4))
    return kind === 'retry' ? forRetries : room - forRetries
  }

  return {
    wake(merchantId, isRetry) {
      endpointOf(merchantId)
      lines[kindOf(isRetry)].add(merchantId)
    },
    wishes() {
      const wishes: Wish[] = []
      for (const kind of kinds) {
        let left = free[kind]
        let leftForDoubtful = freeForDoubtful[kind]
        for (const merchantId of lines[kind]) {
          if (left === 0) break
          const doubtful = isDoubtful(endpointOf(merchantId))
          const count = Math.min(roomOf(merchantId, kind), left, doubtful ? leftForDoubtful : left)
          if (count <= 0) continue
          wishes.push({ merchantId, isRetry: kind === 'retry', count })
          left -= count
          if (doubtful) leftForDoubtful -= count
        }
      }
      return wishes
    },
    begin(wishes) {
      for (const { merchantId, isRetry, count } of wishes) {
        const kind = kindOf(isRetry)
        const endpoint = endpointOf(merchantId)
        take(endpoint, kind, count)
        endpoint.nextKind = kind === 'first' ? 'retry' : 'first'
        lines[kind].delete(merchantId) // unless somebody rings meanwhile
      }
    },
    claimed(wishes, attempts) {
      for (const { merchantId, isRetry, count } of wishes) {
        const kind = kindOf(isRetry)
        const got = attempts.filter(
          (attempt) => attempt.merchantId === merchantId && attempt.failedBefore > 0 === isRetry,
        ).length
        take(endpointOf(merchantId), kind, got - count)
        if (got === count) lines[kind].add(merchantId) // behind all others
      }
    },
    finished(merchantId, isRetry, manner) {
      const endpoint = endpointOf(merchantId)
      take(endpoint, kindOf(isRetry), -1)
      const limitMax = { soon: LIMIT_MAX, late: LIMIT_AT_FIRST, silent: 1 }[manner]
      setLimit(endpoint, Math.min(limitMax, endpoint.limit + 1))
    },
    countAtLimit: () =>
      [...endpoints.values()].filter((endpoint) => allUnderWay(endpoint) >= endpoint.limit).length,
  }
}
