// One clock for every relative time on the page: a single timer, and only what reads differently renders again.
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
    // Browsers slow the timers of hidden pages down: catch up at once.
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

/** The text that `describe` makes of the current time (milliseconds); the component renders only when it changes. */
export function useTicking(describe: (now: number) => string): string {
  return useSyncExternalStore(subscribe, () => describe(now))
}
