// Enqueues the jobs of rows that were just committed, in the background: the dispatcher finds rows whose job is not added.

import type { JobEntry } from './job.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import type { Queueing } from './queue.ts'
import type { Tracing } from './tracing.ts'
import type { WorkTable } from './work-table.ts'

export interface EnqueuerDeps {
  queueing: Queueing
  metrics: Metrics
  log: Logger
  tracing?: Tracing | undefined
}

export interface Enqueuer {
  /** Whether a row that is about to be committed may count as enqueued; if not, its `enqueued_at` must be null. */
  willEnqueue: () => boolean
  /** After the commit: adds the row's job, due at once, together with other waiting jobs. */
  enqueue: (id: string) => void
  /** Waits until all waiting jobs are added. */
  drain: () => Promise<void>
}

const JOBS_PER_ADD_MAX = 500
/** Rows beyond this number are left to the dispatcher. */
const WAITING_MAX = 5000

export function createEnqueuer(deps: EnqueuerDeps, { kind, job }: Pick<WorkTable, 'kind' | 'job'>): Enqueuer {
  const { queueing, metrics, log, tracing } = deps
  let waiting: JobEntry[] = []
  let enqueueing: Promise<void> | undefined

  async function enqueueAll(): Promise<void> {
    while (waiting.length > 0) {
      const entries = waiting.slice(0, JOBS_PER_ADD_MAX)
      waiting = waiting.slice(JOBS_PER_ADD_MAX)
      const outcome = await queueing.enqueue(job, entries).then(
        () => 'ok',
        (err) => {
          log.debug({ err, rows: entries.length }, 'jobs not enqueued; the dispatcher will find them')
          return 'failed'
        },
      )
      metrics.enqueued.inc({ kind, outcome }, entries.length)
      // Where an add costs much however few its jobs are, jobs that arrive meanwhile share the next one.
      if (waiting.length > 0) await new Promise((resolve) => setTimeout(resolve, queueing.enqueueGapMs))
    }
    enqueueing = undefined
  }

  return {
    willEnqueue: () => queueing.isReady() && waiting.length < WAITING_MAX,
    enqueue(id) {
      waiting.push({ id, delayMs: 0, trace: tracing?.current() })
      enqueueing ??= enqueueAll()
    },
    drain: async () => enqueueing,
  }
}
