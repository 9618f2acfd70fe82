// Redeliveries: when to expect them, and how a redelivery differs from the first event of its id.

/** Redeliveries come in series: one means that more are to be expected for this long. */
const EXPECTED_MS = 10_000

export interface RedeliveryWatch {
  areExpected: () => boolean
  seen: () => void
}

export function createRedeliveryWatch(): RedeliveryWatch {
  let until = 0
  return {
    areExpected: () => performance.now() < until,
    seen() {
      until = performance.now() + EXPECTED_MS
    },
  }
}

/** The names of the contract fields in which a redelivery differs from the first event of its id. */
export const differingFields = <F extends string>(
  names: readonly F[],
  first: Readonly<Record<F, unknown>>,
  redelivery: Readonly<Record<F, unknown>>,
): F[] => names.filter((name) => first[name] !== redelivery[name])
