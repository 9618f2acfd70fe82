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
import { pauseUnless, startFresh } from './queue-start.ts'
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
  const queues = new Map<string, Promise<Queue | undefined>>()
  const workers = new Set<Worker>()
  const enqueuesUnderWay = new Set<Promise<unknown>>()
  const closing = new AbortController()
  const starting = { stop: closing.signal, log }
  let lastEnqueueAt = Number.NEGATIVE_INFINITY

  /** The kind's queue, once it is connected. */
  async function queueOf(kind: JobKind): Promise<Queue> {
    let started = queues.get(kind.queue)
    if (started === undefined) {
      started = startFresh(() => openQueue(kind), starting)
      queues.set(kind.queue, started)
    }
    const queue = await started
    if (queue === undefined) throw new Error('the queue is closed')
    return queue
  }

  function openQueue(kind: JobKind): Queue {
    const queue = backend.openQueue(kind.queue)
    queue.on('error', (err) => logQueueError(err, kind))
    return queue
  }

  /** That the server is away is said elsewhere, once; anything else is a fault. */
  function logQueueError(err: Error, kind: JobKind): void {
    if (isUnavailable(err)) log.debug({ err, queue: kind.queue }, 'the queue is away')
    else log.warn({ err, queue: kind.queue }, 'queue error')
  }

  const isReady = () => backend.isUp() && enqueuesUnderWay.size < ENQUEUES_MAX && !closing.signal.aborted

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
    const add = async () => (await queueOf(kind)).addBulk(jobs)
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

  /** Consumes until the queueing is closed: a worker that ends before that is replaced. */
  async function consume(kind: JobKind, handler: JobHandler, concurrency: number): Promise<void> {
    // While the server is away for the first time there is nothing to connect to.
    await backend.up
    while (!closing.signal.aborted) {
      const worker = await startFresh(() => openWorker(kind, handler, concurrency), starting)
      if (worker === undefined) return
      workers.add(worker)
      if (closing.signal.aborted) return void worker.close().catch(() => {})
      await worker.run().catch((err) => log.error({ err, queue: kind.queue }, 'a queue worker failed'))
      if (closing.signal.aborted) return
      workers.delete(worker)
      worker.close().catch(() => {})
      await pauseUnless(closing.signal)
    }
  }

  function openWorker(kind: JobKind, handler: JobHandler, concurrency: number): Worker {
    const process = async (job: Job<{ id: string }>, token?: string) => {
      const outcome = await handler(job.data.id)
      if (outcome === undefined) return
      await job.moveToDelayed(Date.now() + outcome.snoozeMs, token)
      throw new DelayedError()
    }
    const worker = backend.openWorker(kind.queue, process, {
      autorun: false,
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
    return worker
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
        queueOf(kind).then((queue) => queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed')),
      )
      return {
        waiting: (counts.waiting ?? 0) + (counts.prioritized ?? 0),
        active: counts.active ?? 0,
        delayed: counts.delayed ?? 0,
      }
    },
    consume(kind, handler, { concurrency }) {
      consume(kind, handler, concurrency).catch((err) => log.error({ err }, 'cannot consume'))
    },
    async close() {
      closing.abort()
      // While the queue's server is away BullMQ would wait for it; nothing is lost by not telling it.
      await withTimeout(CLOSE_TIMEOUT_MS, Promise.all([...workers].map((worker) => worker.close()))).catch(
        () => {},
      )
      await Promise.allSettled(enqueuesUnderWay)
      const closeQueue = async (started: Promise<Queue | undefined>) => (await started)?.close()
      await withTimeout(COMMAND_TIMEOUT_MS, Promise.all([...queues.values()].map(closeQueue))).catch(() => {})
      await backend.close()
    },
  }
}
