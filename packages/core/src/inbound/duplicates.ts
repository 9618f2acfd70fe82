// Duplicates: when to expect them, and how a duplicate differs from the first event of its id.

/** Duplicates come in series: one means that more are to be expected for this long. */
const EXPECTED_MS = 10_000

export interface DuplicateWatch {
  areExpected: () => boolean
  seen: () => void
}

export function createDuplicateWatch(): DuplicateWatch {
  let until = 0
  return {
    areExpected: () => performance.now() < until,
    seen() {
      until = performance.now() + EXPECTED_MS
    },
  }
}

/** The names of the contract fields in which a duplicate differs from the first event of its id. */
export const differingFields = <F extends string>(
  names: readonly F[],
  first: Readonly<Record<F, unknown>>,
  duplicate: Readonly<Record<F, unknown>>,
): F[] => names.filter((name) => first[name] !== duplicate[name])
