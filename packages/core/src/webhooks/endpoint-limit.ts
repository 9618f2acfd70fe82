// An endpoint's health and its adaptive concurrency limit, by additive increase and reset.

/** How an endpoint took an attempt: a response within a second, a later one, or none. */
export type EndpointHealth = 'fast' | 'slow' | 'unresponsive'

/** A response that takes this long or longer is slow. */
const SLOW_FROM_MS = 1000

export const LIMIT_UNTRIED = 2
const LIMIT_MAX = 32
/** After the first fast response, and the most while responses are slow. */
const LIMIT_SLOW = 8

export interface EndpointLimit {
  /** Attempts that may be in flight at once. */
  limit: number
  /** As of the last attempt. */
  health: EndpointHealth | 'unknown'
}

/** The health that an attempt shows: any HTTP response counts, by its duration only. */
export function healthOf(attempt: { hasResponse: boolean; durationMs: number }): EndpointHealth {
  if (!attempt.hasResponse) return 'unresponsive'
  return attempt.durationMs < SLOW_FROM_MS ? 'fast' : 'slow'
}

/** The limit after one more attempt: one more, up to a cap; or one slot when there was no response. */
export function limitAfter({ limit, health: before }: EndpointLimit, health: EndpointHealth): number {
  if (health === 'unresponsive') return 1
  if (health === 'slow') return Math.min(LIMIT_SLOW, limit + 1)
  return before === 'unknown' ? LIMIT_SLOW : Math.min(LIMIT_MAX, limit + 1)
}
