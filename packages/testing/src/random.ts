// Random inputs from one seed for a run. A failing test prints the seed, and SLUICE_TEST_SEED repeats the inputs.
import { createHash, randomBytes } from 'node:crypto'

/** Any text. `vitest.config.ts` chooses one for all workers of a run. */
export const randomSeed = process.env.SLUICE_TEST_SEED || randomBytes(4).toString('hex')

/** Numbers from 0 up to, but not including, 1; each purpose has its own sequence. */
export function seededRandom(purpose: string): () => number {
  let state = createHash('sha256').update(`${randomSeed}\0${purpose}`).digest().readUInt32LE()
  // Mulberry32.
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A copy in random order. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
