// The retry schedule: five attempts, and the wait before each.

/** After this many failed attempts a delivery is settled as failed. */
export const ATTEMPTS_MAX = 5

const HOUR_MS = 3_600_000
const DELAYS_MS = [0, 60_000, 300_000, 1_800_000, 7_200_000] as const
const TEST_DELAYS_MS = [0, 5_000, 10_000, 15_000, 20_000] as const

/** The longest wait that a receiver's Retry-After can ask for. */
export const RETRY_AFTER_MAX_MS = HOUR_MS

/** The wait before each attempt, in milliseconds since the attempt before; `test` is WEBHOOK_RETRY_INTERVALS_TEST. */
export function retryDelaysMs(test: boolean): readonly number[] {
  return test ? TEST_DELAYS_MS : DELAYS_MS
}

/**
 * How long after the end of the `attempts`-th failed attempt the next one is due, in milliseconds; undefined when it
 * was the last one. `retryAfterMs` is what a 429 or 503 asked for: the minimum of the wait, up to an hour.
 */
export function retryDelayMs({
  attempts,
  retryAfterMs = 0,
  test,
}: {
  attempts: number
  retryAfterMs?: number | undefined
  test: boolean
}): number | undefined {
  if (attempts >= ATTEMPTS_MAX) return undefined
  return Math.max(retryDelaysMs(test)[attempts] ?? 0, Math.min(retryAfterMs, RETRY_AFTER_MAX_MS))
}
