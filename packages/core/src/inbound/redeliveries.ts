// Whether redeliveries are to be expected: they come in bouts, and looking for them costs.

/** For how long after a redelivery more are expected. */
const EXPECTED_MS = 10_000

export interface RedeliveryWatch {
  areExpected: () => boolean
  seen: () => void
}

export function watchRedeliveries(): RedeliveryWatch {
  let until = 0
  return {
    areExpected: () => performance.now() < until,
    seen() {
      until = performance.now() + EXPECTED_MS
    },
  }
}

/** The names of the contract fields in which a redelivery differs from the first delivery, which has none missing. */
export const differingFields = <F extends string>(
  names: readonly F[],
  first: Readonly<Record<F, unknown>>,
  again: Readonly<Record<F, unknown>>,
): F[] => names.filter((name) => first[name] !== again[name])
