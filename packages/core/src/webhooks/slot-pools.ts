// The attempt slots of a worker process, in bulkheads by kind of attempt and by health of endpoint.
import type { EndpointLimit } from './endpoint-limit.ts'

export type AttemptKind = 'first' | 'retry'
export const attemptKinds: readonly AttemptKind[] = ['first', 'retry']

const SLOTS: Record<AttemptKind, number> = { first: 192, retry: 64 }
/** The part of a pool that slow and unresponsive endpoints may hold together. */
const UNHEALTHY_SHARE = 1 / 2
/** The part that these and the untried endpoints may hold together. */
const UNPROVEN_SHARE = 3 / 4

/** Free slots of one kind: in all, for unproven endpoints, and for unhealthy ones. May be negative after a change of health. */
export interface SlotPool {
  all: number
  unproven: number
  unhealthy: number
}

type Health = EndpointLimit['health']
const isUnproven = (health: Health) => health !== 'fast'
const isUnhealthy = (health: Health) => health === 'slow' || health === 'unresponsive'

export const createSlotPools = (): Record<AttemptKind, SlotPool> => ({
  first: fullPool(SLOTS.first),
  retry: fullPool(SLOTS.retry),
})

const fullPool = (slots: number): SlotPool => ({
  all: slots,
  unproven: slots * UNPROVEN_SHARE,
  unhealthy: slots * UNHEALTHY_SHARE,
})

/** How many slots an endpoint of this health may take. */
export function freeSlots(pool: SlotPool, health: Health): number {
  let free = pool.all
  if (isUnproven(health)) free = Math.min(free, pool.unproven)
  if (isUnhealthy(health)) free = Math.min(free, pool.unhealthy)
  return free
}

/** Takes slots from every pool that this health counts against; a negative `count` returns them. */
export function takeSlots(pool: SlotPool, health: Health, count: number): void {
  pool.all -= count
  if (isUnproven(health)) pool.unproven -= count
  if (isUnhealthy(health)) pool.unhealthy -= count
}
