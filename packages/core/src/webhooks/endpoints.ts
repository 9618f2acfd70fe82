// Which endpoints may begin how many attempts: a share for each, that shrinks while it does not answer, in the order of waiting; and a quarter of all slots, and of each share, for retries.
import type { ClaimedAttempt, Wish } from './attempts.ts'

/** Attempts of a worker process under way at once. */
const SLOTS = 256
const RETRY_SLOTS = SLOTS / 4
/** Of one endpoint. It begins in the middle, and gets one more with each answer; one that does not answer has one slot left. */
const LIMIT_MAX = 32
const LIMIT_AT_FIRST = 8
/** Endpoints that are quiet are forgotten, beyond so many. */
const ENDPOINTS_MAX = 10_000

type Kind = 'first' | 'retry'

interface Endpoint {
  underWay: number
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
  finished: (merchantId: string, isRetry: boolean, hasAnswered: boolean) => void
  countAtLimit: () => number
}

export function createEndpoints(): Endpoints {
  const endpoints = new Map<string, Endpoint>()
  /** Who has something due, who has waited longest first. */
  const lines = { first: new Set<string>(), retry: new Set<string>() }
  const free = { first: SLOTS - RETRY_SLOTS, retry: RETRY_SLOTS }
  const kindOf = (isRetry: boolean): Kind => (isRetry ? 'retry' : 'first')

  function endpointOf(merchantId: string): Endpoint {
    const known = endpoints.get(merchantId)
    if (known !== undefined) return known
    if (endpoints.size >= ENDPOINTS_MAX) forgetQuietOnes()
    const endpoint: Endpoint = { underWay: 0, limit: LIMIT_AT_FIRST, nextKind: 'first' }
    endpoints.set(merchantId, endpoint)
    return endpoint
  }

  function forgetQuietOnes(): void {
    for (const [merchantId, { underWay }] of endpoints) {
      const isQuiet = underWay === 0 && !lines.first.has(merchantId) && !lines.retry.has(merchantId)
      if (isQuiet) endpoints.delete(merchantId)
    }
  }

  /** How many of this kind the endpoint may begin: where both are due, a quarter is for retries, or every other turn. */
  function roomOf(merchantId: string, kind: Kind): number {
    const { limit, underWay, nextKind } = endpointOf(merchantId)
    const room = Math.max(0, limit - underWay)
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
      for (const kind of ['first', 'retry'] as const) {
        let left = free[kind]
        for (const merchantId of lines[kind]) {
          if (left === 0) break
          const count = Math.min(roomOf(merchantId, kind), left)
          if (count === 0) continue
          wishes.push({ merchantId, isRetry: kind === 'retry', count })
          left -= count
        }
      }
      return wishes
    },
    begin(wishes) {
      for (const { merchantId, isRetry, count } of wishes) {
        const kind = kindOf(isRetry)
        const endpoint = endpointOf(merchantId)
        endpoint.underWay += count
        endpoint.nextKind = kind === 'first' ? 'retry' : 'first'
        free[kind] -= count
        lines[kind].delete(merchantId) // unless somebody rings meanwhile
      }
    },
    claimed(wishes, attempts) {
      for (const { merchantId, isRetry, count } of wishes) {
        const kind = kindOf(isRetry)
        const got = attempts.filter(
          (attempt) => attempt.merchantId === merchantId && attempt.failedBefore > 0 === isRetry,
        ).length
        endpointOf(merchantId).underWay -= count - got
        free[kind] += count - got
        if (got === count) lines[kind].add(merchantId) // behind all others
      }
    },
    finished(merchantId, isRetry, hasAnswered) {
      const endpoint = endpointOf(merchantId)
      endpoint.underWay--
      endpoint.limit = hasAnswered ? Math.min(LIMIT_MAX, endpoint.limit + 1) : 1
      free[kindOf(isRetry)]++
    },
    countAtLimit: () => [...endpoints.values()].filter(({ underWay, limit }) => underWay >= limit).length,
  }
}
