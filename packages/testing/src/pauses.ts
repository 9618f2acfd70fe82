// Measures pauses of the test's own event loop: every duration that the test measures may include them.
import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 10

/** Starts to measure. The returned function ends that and returns the longest pause in milliseconds. */
export function watchPauses(): () => number {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  return () => {
    delays.disable()
    return Math.max(0, delays.max / 1e6 - RESOLUTION_MS)
  }
}
