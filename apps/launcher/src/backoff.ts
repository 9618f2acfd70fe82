// How long to wait before a process that has died is started again.

const FIRST_MS = 200
const LONGEST_MS = 5_000
/** A process that lived this long was healthy: its end counts as a new failure. */
const HEALTHY_AFTER_MS = 30_000

/** Doubles the previous delay (undefined: none yet), and starts again at the first one after a healthy life. */
export function nextDelayMs(previousMs: number | undefined, livedMs: number): number {
  if (previousMs === undefined || livedMs >= HEALTHY_AFTER_MS) return FIRST_MS
  return Math.min(previousMs * 2, LONGEST_MS)
}
