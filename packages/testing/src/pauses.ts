// How long the test's own process stood still: whatever it times is longer by that, which is nobody else's fault.
import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 10

/** Watches from now on until it is asked for the longest pause, in milliseconds. */
export function watchPauses(): () => number {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  return () => {
    delays.disable()
    return Math.max(0, delays.max / 1e6 - RESOLUTION_MS)
  }
}
