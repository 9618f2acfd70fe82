// A table whose rows are work: how the dispatcher finds open rows, and how workers complete them.
import type { JobKind } from './job.ts'

/** The names are ours, never input. */
export interface WorkTable {
  /** Label of metrics and logs. */
  kind: string
  job: JobKind
  table: string
  idColumn: string
  /** The time from which a row is due. */
  dueColumn: string
  /** When the row was completed; null while it is open. A partial index on (enqueued_at, <due>) keeps the search cheap. */
  doneColumn: string
  /** SQL: that a row is open, as the index by due time alone states it, where there is one. */
  openWhen?: string
  /** SQL: of completed rows, those that failed; absent where rows cannot fail. */
  failedWhen?: string
  /** How long due work may wait while events arrive faster than the API enqueues them: recording goes first. */
  givesWayForMs: number
}
