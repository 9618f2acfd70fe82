// How many attempts each endpoint may begin now: adaptive concurrency limits, bulkheads and round robin.
//
// One endpoint that hangs must delay its own deliveries only. Three textbook algorithms work together:
//
// 1. Adaptive concurrency limit (endpoint-limit.ts). Each endpoint has a limit of attempts in flight. Each fast
//    response raises it by one (additive increase); an unresponsive endpoint drops to one.
// 2. Bulkheads (slot-pools.ts). The process has 192 slots for first attempts and 64 for retries. Of each pool, slow
//    and unresponsive endpoints share at most half, and these with the untried ones at most three quarters.
// 3. Round robin. Each kind of attempt has a ready queue of endpoints, the longest waiting first.
//
// One round of the delivery loop:
//
// 1. `wakeUp` puts an endpoint that has something due into the ready queue of that kind.
// 2. `quotas` walks the ready queues, retries first. An endpoint gets what its limit and the pools leave. While first
//    attempts wait too, retries get a quarter of it, or every other turn of a single slot.
// 3. `begin` takes the slots of these quotas and removes their endpoints from the ready queues.
// 4. `leased` returns the slots that were not needed. An endpoint that used its whole quota may have more that is
//    due, so it joins its ready queue again, behind all others.
// 5. `ended` returns an attempt's slot and adapts the endpoint's limit to its health.
import type { LeasedAttempt, Quota } from './attempt-leases.ts'
import { type EndpointHealth, type EndpointLimit, LIMIT_UNTRIED, limitAfter } from './endpoint-limit.ts'
import { type AttemptKind, attemptKinds, createSlotPools, freeSlots, takeSlots } from './slot-pools.ts'

/** Beyond this many endpoints, idle ones are forgotten. */
const ENDPOINTS_MAX = 10_000
/** While first attempts wait too, retries get this part of an endpoint's room. */
const RETRY_SHARE = 1 / 4

interface Endpoint extends EndpointLimit {
  inFlight: Record<AttemptKind, number>
  /** Which kind gets the slot of an endpoint that has only one. */
  nextKind: AttemptKind
}

export interface EndpointScheduler {
  /** Something of this kind is due. `wasUnresponsive`: another worker's last attempt got no response. */
  wakeUp: (merchantId: string, isRetry: boolean, wasUnresponsive?: boolean) => void
  /** What may begin now; the endpoints that waited longest come first. */
  quotas: () => Quota[]
  /** The quotas are being leased: takes their slots. */
  begin: (quotas: readonly Quota[]) => void
  /** Returns the slots that the lease did not need, and queues endpoints again that used their whole quota. */
  leased: (quotas: readonly Quota[], attempts: readonly LeasedAttempt[]) => void
  /** An attempt ended; `health` is undefined when nothing was sent. */
  ended: (merchantId: string, isRetry: boolean, health: EndpointHealth | undefined) => void
  countAtLimit: () => number
}

const kindOf = (isRetry: boolean): AttemptKind => (isRetry ? 'retry' : 'first')
const totalInFlight = ({ inFlight }: Endpoint) => inFlight.first + inFlight.retry
const roomOf = (endpoint: Endpoint) => endpoint.limit - totalInFlight(endpoint)

export function createEndpointScheduler(): EndpointScheduler {
  const state = createState()
  return {
    wakeUp(merchantId, isRetry, wasUnresponsive = false) {
      const endpoint = endpointOf(state, merchantId)
      if (wasUnresponsive && endpoint.health === 'unknown') adapt(state, endpoint, 'unresponsive')
      state.ready[kindOf(isRetry)].add(merchantId)
    },
    quotas() {
      const retries = roundRobin(state, 'retry', (merchantId, endpoint) =>
        roomForRetries(state, merchantId, endpoint),
      )
      const granted = new Map(retries.map(({ merchantId, count }) => [merchantId, count]))
      const firsts = roundRobin(
        state,
        'first',
        (merchantId, endpoint) => roomOf(endpoint) - (granted.get(merchantId) ?? 0),
      )
      return [...firsts, ...retries]
    },
    begin(quotas) {
      for (const { merchantId, isRetry, count } of quotas) {
        const kind = kindOf(isRetry)
        const endpoint = endpointOf(state, merchantId)
        changeInFlight(state, endpoint, kind, count)
        endpoint.nextKind = kind === 'first' ? 'retry' : 'first'
        state.ready[kind].delete(merchantId) // a wake-up during the lease adds it again
      }
    },
    leased(quotas, attempts) {
      for (const { merchantId, isRetry, count } of quotas) {
        const kind = kindOf(isRetry)
        const used = attempts.filter(
          (attempt) => attempt.merchantId === merchantId && attempt.isRetry === isRetry,
        ).length
        changeInFlight(state, endpointOf(state, merchantId), kind, used - count)
        if (used === count) state.ready[kind].add(merchantId)
      }
    },
    ended(merchantId, isRetry, health) {
      const endpoint = endpointOf(state, merchantId)
      changeInFlight(state, endpoint, kindOf(isRetry), -1)
      if (health !== undefined) adapt(state, endpoint, health)
    },
    countAtLimit: () => [...state.endpoints.values()].filter((endpoint) => roomOf(endpoint) <= 0).length,
  }
}

const createState = () => ({
  endpoints: new Map<string, Endpoint>(),
  /** The merchants whose endpoints have something due, the longest waiting first. */
  ready: { first: new Set<string>(), retry: new Set<string>() },
  pools: createSlotPools(),
})
type State = ReturnType<typeof createState>

function endpointOf(state: State, merchantId: string): Endpoint {
  const known = state.endpoints.get(merchantId)
  if (known !== undefined) return known
  if (state.endpoints.size >= ENDPOINTS_MAX) forgetIdle(state)
  const endpoint: Endpoint = {
    limit: LIMIT_UNTRIED,
    health: 'unknown',
    inFlight: { first: 0, retry: 0 },
    nextKind: 'first',
  }
  state.endpoints.set(merchantId, endpoint)
  return endpoint
}

function forgetIdle({ endpoints, ready }: State): void {
  for (const [merchantId, endpoint] of endpoints) {
    const isReady = ready.first.has(merchantId) || ready.retry.has(merchantId)
    if (totalInFlight(endpoint) === 0 && !isReady) endpoints.delete(merchantId)
  }
}

function changeInFlight({ pools }: State, endpoint: Endpoint, kind: AttemptKind, change: number): void {
  endpoint.inFlight[kind] += change
  takeSlots(pools[kind], endpoint.health, change)
}

/** Adapts limit and health. What is in flight counts against the pools of the new health from now on. */
function adapt({ pools }: State, endpoint: Endpoint, health: EndpointHealth): void {
  for (const kind of attemptKinds) takeSlots(pools[kind], endpoint.health, -endpoint.inFlight[kind])
  endpoint.limit = limitAfter(endpoint, health)
  endpoint.health = health
  for (const kind of attemptKinds) takeSlots(pools[kind], endpoint.health, endpoint.inFlight[kind])
}

/** The part of an endpoint's room that retries may use while its first attempts could begin too. */
function roomForRetries({ ready, pools }: State, merchantId: string, endpoint: Endpoint): number {
  const room = roomOf(endpoint)
  const firstsWait = ready.first.has(merchantId) && freeSlots(pools.first, endpoint.health) > 0
  if (!firstsWait) return room
  if (room <= 1) return endpoint.nextKind === 'retry' ? room : 0
  return Math.max(1, Math.floor(room * RETRY_SHARE))
}

/** Shares the free slots of one kind out, in the order of waiting, and takes none yet. */
function roundRobin(
  state: State,
  kind: AttemptKind,
  roomFor: (merchantId: string, endpoint: Endpoint) => number,
): Quota[] {
  const quotas: Quota[] = []
  const left = { ...state.pools[kind] }
  for (const merchantId of state.ready[kind]) {
    if (left.all <= 0) break
    const endpoint = endpointOf(state, merchantId)
    const count = Math.min(roomFor(merchantId, endpoint), freeSlots(left, endpoint.health))
    if (count <= 0) continue
    quotas.push({ merchantId, isRetry: kind === 'retry', count })
    takeSlots(left, endpoint.health, count)
  }
  return quotas
}
