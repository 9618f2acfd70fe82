// How long to wait before starting a process again that has died.

const FIRST_MS = 200
const LONGEST_MS = 5_000
/** A process that lived this long was all right: its end is a new trouble, not the old one. */
const HEALTHY_AFTER_MS = 30_000

/** Doubles from the delay before (undefined: none yet), and begins afresh after a healthy life. */
export function nextDelayMs(previousMs: number | undefined, livedMs: number): number {
  if (previousMs === undefined || livedMs >= HEALTHY_AFTER_MS) return FIRST_MS
  return Math.min(previousMs * 2, LONGEST_MS)
}
