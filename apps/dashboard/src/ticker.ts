// One clock for every relative time on the page: one timer; a component renders only when its text changes.
import { useSyncExternalStore } from 'react'

const TICK_MS = 1000

let now = Date.now()
let timer: ReturnType<typeof setInterval> | undefined
const listeners = new Set<() => void>()

function tick() {
  now = Date.now()
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void) {
  if (timer === undefined) {
    now = Date.now()
    timer = setInterval(tick, TICK_MS)
    // Browsers throttle the timers of hidden pages, so the clock is read as soon as the page is visible.
    document.addEventListener('visibilitychange', tick)
  }
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
    document.removeEventListener('visibilitychange', tick)
  }
}

/** Returns `describe(now)`, with `now` in milliseconds. The component renders only when the text changes. */
export function useTicking(describe: (now: number) => string): string {
  return useSyncExternalStore(subscribe, () => describe(now))
}
