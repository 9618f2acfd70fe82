// BullMQ behind one door, on Redis or on PostgreSQL. A job says "look at this row": its payload is the row's id, and losing it loses nothing.
import { DelayedError, type Job, type Queue, type Worker } from 'bullmq'
import { isUnavailable } from './errors.ts'
import {
  COMMAND_TIMEOUT_MS,
  postgresBackend,
  type QueueingOptions,
  type RedisState,
  redisBackend,
} from './queue-backends.ts'
import { withTimeout } from './with-timeout.ts'

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

interface QueueCounts {
  waiting: number
  active: number
  delayed: number
}

export interface Queueing {
  /** Whether an enqueue has good prospects now. */
  isReady: () => boolean
  /** Whether a few jobs at a time are welcome too; when not, they are left to the dispatcher, which brings many. */
  isReadyForFew: () => boolean
  /** The least time between enqueues of a few jobs each. */
  enqueueGapMs: number
  redisState: () => RedisState
  /** Adds jobs; an id that already has a live job stays as it is. Rejects within two seconds when the queue is away. */
  enqueue: (kind: JobKind, entries: readonly JobEntry[]) => Promise<void>
  counts: (kind: JobKind) => Promise<QueueCounts>
  /** Handles jobs from as soon as the queue's server answers. */
  consume: (kind: JobKind, handler: JobHandler, options: { concurrency: number }) => void
  /** Stops taking jobs, waits for running ones, closes connections. */
  close: () => Promise<void>
}

/** Bulk adds under way at once; beyond, rows are better left to the dispatcher. */
const ENQUEUES_MAX = 8
/**
 * A dead worker's jobs are taken over when their lock has run out and a check has seen it: at most 4 + 2 × 1.5 s. No
 * limit on how often that may happen to one job: the row decides whether there is work left.
 */
const LOCK_MS = 4000
const STALLED_INTERVAL_MS = 1500
/** How long a worker whose queue's server went away waits before it asks again; BullMQ's default is 15 s. */
const RUN_RETRY_DELAY_MS = 1000
/** BullMQ's PostgreSQL functions take it as an integer. */
const INT32_MAX = 2 ** 31 - 1
/** How long running jobs may take to end when the process stops; leaves time for the rest within its ten seconds. */
const CLOSE_TIMEOUT_MS = 5000

/** BullMQ refuses integers and colons in ids; the prefix and percent-encoding make any text fit. */
const jobIdOf = (rowId: string) => `row-${encodeURIComponent(rowId)}`

export function openQueueing(options: QueueingOptions): Queueing {
  const { log, tracing } = options
  const backend =
    options.redisUrl === undefined ? postgresBackend(options) : redisBackend(options, options.redisUrl)
  const queues = new Map<string, Queue>()
  const workers: Worker[] = []
  const enqueuesUnderWay = new Set<Promise<unknown>>()
  let lastEnqueueAt = Number.NEGATIVE_INFINITY
  let closing = false

  function queueOf(kind: JobKind): Queue {
    const known = queues.get(kind.queue)
    if (known !== undefined) return known
    const queue = backend.openQueue(kind.queue)
    queue.on('error', (err) => logQueueError(err, kind))
    queues.set(kind.queue, queue)
    return queue
  }

  /** That the server is away is said elsewhere, once; anything else is a fault. */
  function logQueueError(err: Error, kind: JobKind): void {
    if (isUnavailable(err)) log.debug({ err, queue: kind.queue }, 'the queue is away')
    else log.warn({ err, queue: kind.queue }, 'queue error')
  }

  const isReady = () => backend.isUp() && enqueuesUnderWay.size < ENQUEUES_MAX && !closing

  async function enqueue(kind: JobKind, entries: readonly JobEntry[]): Promise<void> {
    if (!backend.isUp()) throw new Error('the queue is not connected')
    const jobs = entries.map(({ id, delayMs, trace }) => ({
      name: kind.queue,
      data: { id },
      opts: {
        jobId: jobIdOf(id),
        delay: delayMs,
        ...(trace === undefined ? {} : { telemetry: { metadata: trace } }),
      },
    }))
    const queue = queueOf(kind)
    const add = () => queue.addBulk(jobs)
    // The adding of jobs that share it belongs to the first one's trace, not to whichever request it happened to run in.
    const added = tracing === undefined ? add() : tracing.within(entries[0]?.trace, add)
    const underWay = withTimeout(COMMAND_TIMEOUT_MS, added)
    enqueuesUnderWay.add(underWay)
    lastEnqueueAt = performance.now()
    try {
      await underWay
    } finally {
      enqueuesUnderWay.delete(underWay)
    }
  }

  async function consumeOnceUp(kind: JobKind, handler: JobHandler, concurrency: number): Promise<void> {
    // A BullMQ worker that is made while its PostgreSQL is away never works, and says nothing.
    await backend.up
    if (closing) return
    const process = async (job: Job<{ id: string }>, token?: string) => {
      const outcome = await handler(job.data.id)
      if (outcome === undefined) return
      await job.moveToDelayed(Date.now() + outcome.snoozeMs, token)
      throw new DelayedError()
    }
    const worker = backend.openWorker(kind.queue, process, {
      concurrency,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_INTERVAL_MS,
      maxStalledCount: INT32_MAX,
      runRetryDelay: RUN_RETRY_DELAY_MS,
    })
    worker.on('error', (err) => logQueueError(err, kind))
    worker.on('failed', (job, err) => {
      log.warn({ err, queue: kind.queue, id: job?.data.id, attempt: job?.attemptsMade }, 'job failed')
    })
    workers.push(worker)
  }

  return {
    isReady,
    isReadyForFew: () => isReady() && performance.now() - lastEnqueueAt >= backend.enqueueGapMs,
    enqueueGapMs: backend.enqueueGapMs,
    redisState: backend.redisState,
    enqueue,
    async counts(kind) {
      if (!backend.isUp()) throw new Error('the queue is not connected')
      const counts = await withTimeout(
        COMMAND_TIMEOUT_MS,
        queueOf(kind).getJobCounts('waiting', 'prioritized', 'active', 'delayed'),
      )
      return {
        waiting: (counts.waiting ?? 0) + (counts.prioritized ?? 0),
        active: counts.active ?? 0,
        delayed: counts.delayed ?? 0,
      }
    },
    consume(kind, handler, { concurrency }) {
      consumeOnceUp(kind, handler, concurrency).catch((err) => log.error({ err }, 'cannot consume'))
    },
    async close() {
      closing = true
      // While the queue's server is away BullMQ would wait for it; nothing is lost by not telling it.
      await withTimeout(CLOSE_TIMEOUT_MS, Promise.all(workers.map((worker) => worker.close()))).catch(
        () => {},
      )
      await Promise.allSettled(enqueuesUnderWay)
      await withTimeout(
        COMMAND_TIMEOUT_MS,
        Promise.all([...queues.values()].map((queue) => queue.close())),
      ).catch(() => {})
      await backend.close()
    },
  }
}
