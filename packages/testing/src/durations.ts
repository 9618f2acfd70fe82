// Compares the durations of operations that must take equally long, on a machine that does other work meanwhile.
const ROUNDS_MIN = 3
const ROUNDS_MAX = 15
/** A skipped step, such as a hash that is not computed, makes a far greater difference. */
const FACTOR = 3

/**
 * Returns the fastest and the slowest operation, or undefined if the slowest takes less than three times as long.
 * The fastest round of each operation counts, since other work makes rounds slower and never faster. The operations take
 * turns.
 */
export async function findUnequalDurations(
  operations: Readonly<Record<string, () => Promise<unknown>>>,
): Promise<string | undefined> {
  const best = new Map<string, number>()
  const sorted = () => [...best].sort(([, a], [, b]) => a - b)
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    for (const [name, operation] of Object.entries(operations)) {
      const startedAt = performance.now()
      await operation()
      best.set(name, Math.min(best.get(name) ?? Number.POSITIVE_INFINITY, performance.now() - startedAt))
    }
    if (round >= ROUNDS_MIN && sorted().at(-1)![1] < FACTOR * sorted()[0]![1]) return undefined
  }
  return JSON.stringify(sorted())
}
