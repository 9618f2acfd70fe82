// What an invariant is.
export interface Invariant {
  /** A sentence that is true as long as the query answers nothing. */
  name: string
  /** Answers `id` and `problem`, both text, a row for each thing that breaks it. */
  sql: string
}
