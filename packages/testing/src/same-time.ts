// For the tests: whether things take equally long, on a machine that does other things meanwhile.
const ROUNDS_MIN = 3
const ROUNDS_MAX = 15
/** What is left out, such as a hash that is not computed, makes far more of a difference. */
const FACTOR = 3

/**
 * The quickest and the slowest of these, each by its quickest round, or undefined when they differ by less than three
 * times. They take turns: what else the machine does makes some rounds slower, and none quicker.
 */
export async function unequalTimes(
  works: Readonly<Record<string, () => Promise<unknown>>>,
): Promise<string | undefined> {
  const best = new Map<string, number>()
  const sorted = () => [...best].sort(([, a], [, b]) => a - b)
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    for (const [name, work] of Object.entries(works)) {
      const startedAt = performance.now()
      await work()
      best.set(name, Math.min(best.get(name) ?? Number.POSITIVE_INFINITY, performance.now() - startedAt))
    }
    if (round >= ROUNDS_MIN && sorted().at(-1)![1] < FACTOR * sorted()[0]![1]) return undefined
  }
  return JSON.stringify(sorted())
}
