// Jobs as values: their kind, their entries in the queue, and the shape of their handlers.

/** A kind of job, imported by its producers and by its handler. */
export interface JobKind {
  /** BullMQ queue; short, since the PostgreSQL backend puts it into a 63-character name. */
  queue: string
  /** How many jobs one worker handles at once, at most. */
  concurrencyMax: number
}

export const defineJob = ({
  queue,
  concurrencyMax = Number.POSITIVE_INFINITY,
}: {
  queue: string
  concurrencyMax?: number
}): JobKind => ({ queue, concurrencyMax })

export interface JobEntry {
  /** The row's id, any text. */
  id: string
  delayMs: number
  /** The trace that its processing is a part of, by `Tracing.current`. */
  trace?: string | undefined
}

/** The result of a handler: undefined when the work is done, or for how long to put it off. */
type JobOutcome = { snoozeMs: number } | undefined

export type JobHandler = (rowId: string) => Promise<JobOutcome>

export interface QueueCounts {
  waiting: number
  active: number
  delayed: number
}
