// The type of an invariant.
export interface Invariant {
  /** A sentence that is true while the query returns no row. */
  name: string
  /** Returns one row for each violation, with the texts `id` and `problem`. */
  sql: string
}
