// A table whose rows are work: how the dispatcher finds what is open, and how workers end it.
import type { JobKind } from './queue.ts'

/** The names are ours, never input. */
export interface WorkTable {
  /** Label of metrics and logs. */
  kind: string
  job: JobKind
  table: string
  idColumn: string
  /** The time from which a row's work is to be done. */
  dueColumn: string
  /** The time when it was done; null while the row is open. A partial index on (enqueued_at, <due>) where it is null keeps the search cheap. */
  doneColumn: string
  /** In SQL: that a row is open, in the words of an index by due time alone, where there is one. */
  openWhen?: string
  /** In SQL: of done rows, those whose work ended without success; left out where there is no such end. */
  failedWhen?: string
  /** How long due work may wait while deliveries come in faster than the API enqueues them: it gives way to taking them. */
  givesWayForMs: number
}
