// Which endpoints may begin how many attempts: a share for each, that shrinks while it does not answer, in the order of waiting; shares of all slots for those that answer soon and for those not known yet, however many others there are; and a quarter of all slots, and of each share, for retries.
import type { ClaimedAttempt, Wish } from './attempts.ts'

/** Attempts of a worker process under way at once. */
const SLOTS = { first: 192, retry: 64 }
/** What endpoints that are late or silent may hold of them together; and what these and the unknown ones may. */
const BAD_SHARE = 1 / 2
const UNPROVEN_SHARE = 3 / 4
/** Of one endpoint: until it has been tried, after its first answer, and when it goes on answering, one more each time. */
const LIMIT_UNKNOWN = 2
const LIMIT_MAX = 32
/** And the most that one has which answers late. */
const LIMIT_LATE = 8
/** Endpoints that are quiet are forgotten, beyond so many. */
const ENDPOINTS_MAX = 10_000

type Kind = 'first' | 'retry'
const kinds: readonly Kind[] = ['first', 'retry']

/** How an endpoint took an attempt: whatever it answered, but soon; late; or not at all. */
export type Manner = 'soon' | 'late' | 'silent'

interface Endpoint {
  underWay: Record<Kind, number>
  limit: number
  /** How it took the last attempt. */
  manner: Manner | 'unknown'
  /** Which kind gets the one slot of an endpoint that has but one. */
  nextKind: Kind
}

export interface Endpoints {
  /** There is something due, of this kind; what is open tells whether the endpoint was silent, which another worker may know. */
  wake: (merchantId: string, isRetry: boolean, wasSilent?: boolean) => void
  /** What may be begun now; those who waited longest first. */
  wishes: () => Wish[]
  /** The wishes are being claimed: their slots are taken. */
  begin: (wishes: readonly Wish[]) => void
  /** What came of it: slots that were not needed are free again, and who got all that was wished for may have more that is due. */
  claimed: (wishes: readonly Wish[], attempts: readonly ClaimedAttempt[]) => void
  /** `manner` is undefined when the endpoint was not tried. */
  finished: (merchantId: string, isRetry: boolean, manner: Manner | undefined) => void
  countAtLimit: () => number
}

export function createEndpoints(): Endpoints {
  const endpoints = new Map<string, Endpoint>()
  /** Who has something due, who has waited longest first. */
  const lines = { first: new Set<string>(), retry: new Set<string>() }
  const free = { ...SLOTS }
  const freeForBad = { first: SLOTS.first * BAD_SHARE, retry: SLOTS.retry * BAD_SHARE }
  const freeForUnproven = { first: SLOTS.first * UNPROVEN_SHARE, retry: SLOTS.retry * UNPROVEN_SHARE }
  const kindOf = (isRetry: boolean): Kind => (isRetry ? 'retry' : 'first')
  const isUnproven = ({ manner }: Endpoint) => manner !== 'soon'
  const isBad = ({ manner }: Endpoint) => manner === 'late' || manner === 'silent'
  const allUnderWay = ({ underWay }: Endpoint) => underWay.first + underWay.retry

  function endpointOf(merchantId: string): Endpoint {
    const known = endpoints.get(merchantId)
    if (known !== undefined) return known
    if (endpoints.size >= ENDPOINTS_MAX) forgetQuietOnes()
    const endpoint: Endpoint = {
      underWay: { first: 0, retry: 0 },
      limit: LIMIT_UNKNOWN,
      manner: 'unknown',
      nextKind: 'first',
    }
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

  /** Takes slots from what they count against; gives them back when `count` is negative. */
  function takeSlots(endpoint: Endpoint, kind: Kind, count: number): void {
    free[kind] -= count
    if (isUnproven(endpoint)) freeForUnproven[kind] -= count
    if (isBad(endpoint)) freeForBad[kind] -= count
  }

  function changeUnderWay(endpoint: Endpoint, kind: Kind, change: number): void {
    endpoint.underWay[kind] += change
    takeSlots(endpoint, kind, change)
  }

  function judge(endpoint: Endpoint, manner: Manner): void {
    for (const kind of kinds) takeSlots(endpoint, kind, -endpoint.underWay[kind])
    const { limit, manner: before } = endpoint
    if (manner === 'silent') endpoint.limit = 1
    else if (manner === 'late') endpoint.limit = Math.min(LIMIT_LATE, limit + 1)
    else endpoint.limit = before === 'unknown' ? LIMIT_LATE : Math.min(LIMIT_MAX, limit + 1)
    endpoint.manner = manner
    for (const kind of kinds) takeSlots(endpoint, kind, endpoint.underWay[kind])
  }

  const freeFor = (endpoint: Endpoint, kind: Kind) =>
    Math.min(
      free[kind],
      isUnproven(endpoint) ? freeForUnproven[kind] : free[kind],
      isBad(endpoint) ? freeForBad[kind] : free[kind],
    )

  /** Of the room that an endpoint has, a quarter is for retries while first attempts could begin, too; of one slot, every other turn. */
  function roomForRetries(merchantId: string, endpoint: Endpoint, room: number): number {
    if (!lines.first.has(merchantId) || freeFor(endpoint, 'first') <= 0) return room
    if (room <= 1) return endpoint.nextKind === 'retry' ? room : 0
    return Math.max(1, Math.floor(room / 4))
  }

  /** In the order of waiting, as far as the slots go. */
  function share(kind: Kind, roomFor: (merchantId: string, endpoint: Endpoint) => number): Wish[] {
    const wishes: Wish[] = []
    let left = free[kind]
    let leftForUnproven = freeForUnproven[kind]
    let leftForBad = freeForBad[kind]
    for (const merchantId of lines[kind]) {
      if (left <= 0) break
      const endpoint = endpointOf(merchantId)
      let count = Math.min(roomFor(merchantId, endpoint), left)
      if (isUnproven(endpoint)) count = Math.min(count, leftForUnproven)
      if (isBad(endpoint)) count = Math.min(count, leftForBad)
      if (count <= 0) continue
      wishes.push({ merchantId, isRetry: kind === 'retry', count })
      left -= count
      if (isUnproven(endpoint)) leftForUnproven -= count
      if (isBad(endpoint)) leftForBad -= count
    }
    return wishes
  }

  return {
    wake(merchantId, isRetry, wasSilent = false) {
      const endpoint = endpointOf(merchantId)
      if (wasSilent && endpoint.manner === 'unknown') judge(endpoint, 'silent')
      lines[kindOf(isRetry)].add(merchantId)
    },
    wishes() {
      const roomOf = (endpoint: Endpoint) => endpoint.limit - allUnderWay(endpoint)
      const retries = share('retry', (merchantId, endpoint) =>
        roomForRetries(merchantId, endpoint, roomOf(endpoint)),
      )
      // What retries leave, or could not use for want of slots.
      const granted = new Map(retries.map(({ merchantId, count }) => [merchantId, count]))
      const firsts = share(
        'first',
        (merchantId, endpoint) => roomOf(endpoint) - (granted.get(merchantId) ?? 0),
      )
      return [...firsts, ...retries]
    },
    begin(wishes) {
      for (const { merchantId, isRetry, count } of wishes) {
        const kind = kindOf(isRetry)
        const endpoint = endpointOf(merchantId)
        changeUnderWay(endpoint, kind, count)
        endpoint.nextKind = kind === 'first' ? 'retry' : 'first'
        lines[kind].delete(merchantId) // unless somebody rings meanwhile
      }
    },
    claimed(wishes, attempts) {
      for (const { merchantId, isRetry, count } of wishes) {
        const kind = kindOf(isRetry)
        const got = attempts.filter(
          (attempt) => attempt.merchantId === merchantId && attempt.isRetry === isRetry,
        ).length
        changeUnderWay(endpointOf(merchantId), kind, got - count)
        if (got === count) lines[kind].add(merchantId) // behind all others
      }
    },
    finished(merchantId, isRetry, manner) {
      const endpoint = endpointOf(merchantId)
      changeUnderWay(endpoint, kindOf(isRetry), -1)
      if (manner !== undefined) judge(endpoint, manner)
    },
    countAtLimit: () =>
      [...endpoints.values()].filter((endpoint) => allUnderWay(endpoint) >= endpoint.limit).length,
  }
}
