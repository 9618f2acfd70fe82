// Calm or burst: enqueueing costs far more than storing, so in a burst it is left to the dispatcher.

/** More events under way than this are a burst, which lasts until the load has been lower for a while. */
const CALM_LOAD_MAX = 32
const CALM_AFTER_MS = 250

/** Returns a function that gets the number of events under way and returns whether it is calm. */
export function createBurstWatch(): (load: number) => boolean {
  let calmFrom = 0
  return (load) => {
    const now = performance.now()
    if (load > CALM_LOAD_MAX) calmFrom = now + CALM_AFTER_MS
    return now >= calmFrom
  }
}
