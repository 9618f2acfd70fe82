// How often a test repeats its work: the full number in CI, a fifth of it elsewhere.
const LOCAL_SHARE = 0.2

/**
 * The number of repetitions of a race, a property or a load: `full` in CI, and never fewer than `atLeast`.
 * `SLUICE_TEST_VOLUME` sets the share: 1 is the full volume, 0.2 is the default outside CI.
 */
export function volume(full: number, atLeast = 20): number {
  return Math.min(full, Math.max(atLeast, Math.ceil(full * shareOf(process.env))))
}

function shareOf({ CI, SLUICE_TEST_VOLUME: wanted }: NodeJS.ProcessEnv): number {
  if (!wanted) return CI && CI !== 'false' ? 1 : LOCAL_SHARE
  const share = Number(wanted)
  if (share > 0 && share <= 1) return share
  throw new Error(`SLUICE_TEST_VOLUME must be a number above 0 and at most 1, not ${JSON.stringify(wanted)}`)
}
