// BullMQ behind one door, on Redis or on PostgreSQL. A job says "look at this row": its payload is the row's id, and losing it loses nothing.
import {
  createPostgresBackend,
  DEFAULT_SCHEMA,
  DelayedError,
  type Job,
  Queue,
  runMigrations,
  Worker,
} from 'bullmq'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Logger } from './logger.ts'
import type { Tracing } from './tracing.ts'

/** A kind of job, imported by who enqueues and by who handles it. */
export interface JobKind {
  /** BullMQ queue; short, since the PostgreSQL backend puts it into a 63-character name. */
  queue: string
}

export const defineJob = (kind: JobKind): JobKind => kind

export interface JobEntry {
  /** The row's id, any text. */
  id: string
  delayMs: number
  /** The trace that its processing is a part of, by `Tracing.current`. */
  trace?: string | undefined
}

/** What a handler may answer: nothing when the work is done, or when to look again. */
export type JobOutcome = { lookAgainInMs: number } | undefined

type JobHandler = (rowId: string) => Promise<JobOutcome>

type RedisState = 'connected' | 'disconnected' | 'not_configured'

interface QueueCounts {
  waiting: number
  active: number
  delayed: number
}

export interface Queueing {
  /** Whether an enqueue has good prospects now; when not, rows are left to the dispatcher. */
  isReady: () => boolean
  redisState: () => RedisState
  /** Adds jobs; an id that already has a live job stays as it is. Rejects within two seconds when the queue is away. */
  enqueue: (kind: JobKind, entries: readonly JobEntry[]) => Promise<void>
  counts: (kind: JobKind) => Promise<QueueCounts>
  /** Handles jobs from as soon as the queue's server answers. */
  consume: (kind: JobKind, handler: JobHandler, options: { concurrency: number }) => void
  /** Stops taking jobs, waits for running ones, closes connections. */
  close: () => Promise<void>
}

export interface QueueingOptions {
  databaseUrl: string
  redisUrl: string | undefined
  /** The part of Redis's keys before the queue's name. */
  prefix?: string
  log: Logger
  tracing?: Tracing | undefined
}

const ENQUEUE_TIMEOUT_MS = 2000
/** Bulk adds under way at once; beyond, rows are better left to the dispatcher. */
const ENQUEUES_MAX = 8
/**
 * A dead worker's jobs are taken over when their lock has run out and a check has seen it: at most 4 + 2 × 1.5 s. No
 * limit on how often that may happen to one job: the row decides whether there is work left.
 */
const LOCK_MS = 4000
const STALLED_INTERVAL_MS = 1500

const jobOptions = {
  // Kept ids would silently swallow a later add of the same row.
  removeOnComplete: true,
  removeOnFail: true,
  attempts: 10,
  backoff: { type: 'fixed', delay: 1000 },
} as const

/** BullMQ refuses integers and colons in ids; the prefix and percent-encoding make any text fit. */
const jobIdOf = (rowId: string) => `row-${encodeURIComponent(rowId)}`

export function openQueueing(options: QueueingOptions): Queueing {
  const { log, tracing } = options
  const backend =
    options.redisUrl === undefined ? postgresBackend(options) : redisBackend(options, options.redisUrl)
  const queues = new Map<string, Queue>()
  const workers: Worker[] = []
  let enqueuesUnderWay = 0
  let closing = false

  function queueOf(kind: JobKind): Queue {
    const known = queues.get(kind.queue)
    if (known !== undefined) return known
    const queue = backend.openQueue(kind.queue)
    queue.on('error', (err) => log.debug({ err, queue: kind.queue }, 'queue error'))
    queues.set(kind.queue, queue)
    return queue
  }

  const isReady = () => backend.isUp() && enqueuesUnderWay < ENQUEUES_MAX && !closing

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
    enqueuesUnderWay++
    try {
      // The adding of jobs that share it belongs to the first one's trace, not to whichever request it happened to run in.
      await within(ENQUEUE_TIMEOUT_MS, tracing === undefined ? add() : tracing.within(entries[0]?.trace, add))
    } finally {
      enqueuesUnderWay--
    }
  }

  async function consumeOnceUp(kind: JobKind, handler: JobHandler, concurrency: number): Promise<void> {
    // A BullMQ worker that is made while its PostgreSQL is away never works, and says nothing.
    await backend.up
    if (closing) return
    const process = async (job: Job<{ id: string }>, token?: string) => {
      const outcome = await handler(job.data.id)
      if (outcome === undefined) return
      await job.moveToDelayed(Date.now() + outcome.lookAgainInMs, token)
      throw new DelayedError()
    }
    const worker = backend.openWorker(kind.queue, process, {
      concurrency,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_INTERVAL_MS,
      maxStalledCount: Number.MAX_SAFE_INTEGER,
    })
    worker.on('error', (err) => log.debug({ err, queue: kind.queue }, 'worker error'))
    worker.on('failed', (job, err) => {
      log.warn({ err, queue: kind.queue, id: job?.data.id, attempt: job?.attemptsMade }, 'job failed')
    })
    workers.push(worker)
  }

  return {
    isReady,
    redisState: backend.redisState,
    enqueue,
    async counts(kind) {
      if (!backend.isUp()) throw new Error('the queue is not connected')
      const counts = await within(
        ENQUEUE_TIMEOUT_MS,
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
      await Promise.all(workers.map((worker) => worker.close()))
      await Promise.all([...queues.values()].map((queue) => queue.close().catch(() => {})))
      await backend.close()
    },
  }
}

type Process = (job: Job<{ id: string }>, token?: string) => Promise<void>
type WorkerSettings = {
  concurrency: number
  lockDuration: number
  stalledInterval: number
  maxStalledCount: number
}

interface Backend {
  /** Resolves when the server has answered for the first time. */
  up: Promise<void>
  isUp: () => boolean
  redisState: () => RedisState
  openQueue: (name: string) => Queue
  openWorker: (name: string, process: Process, settings: WorkerSettings) => Worker
  close: () => Promise<void>
}

const telemetryOf = ({ tracing }: QueueingOptions) =>
  tracing === undefined ? {} : { telemetry: tracing.telemetry }

function redisBackend(options: QueueingOptions, url: string): Backend {
  const { log, prefix = 'sluice' } = options
  const traced = telemetryOf(options)
  // Producers fail at once when Redis is away; consumers wait for it.
  const producer = new Redis(url, {
    connectTimeout: 2000,
    commandTimeout: ENQUEUE_TIMEOUT_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    retryStrategy: (attempt) => Math.min(100 * attempt, 1000),
  })
  const consumer = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: null,
    retryStrategy: (attempt) => Math.min(100 * attempt, 1000),
  })
  consumer.on('error', () => {}) // the producer's connection reports for both
  let isUp = false
  const up = new Promise<void>((resolve) => {
    producer.on('ready', () => {
      if (!isUp) log.info('connected to Redis')
      isUp = true
      resolve()
    })
  })
  const down = (err?: Error) => {
    if (isUp) log.warn({ err }, 'Redis is away; deliveries are taken all the same')
    isUp = false
  }
  producer.on('error', down)
  producer.on('close', () => down())
  return {
    up,
    isUp: () => isUp,
    redisState: () => (isUp ? 'connected' : 'disconnected'),
    openQueue: (name) =>
      new Queue(name, { connection: producer, prefix, defaultJobOptions: jobOptions, ...traced }),
    openWorker: (name, process, settings) =>
      new Worker(name, process, { connection: consumer, prefix, ...settings, ...traced }),
    async close() {
      producer.disconnect()
      consumer.disconnect()
    },
  }
}

function postgresBackend(options: QueueingOptions): Backend {
  const { databaseUrl, log } = options
  const traced = telemetryOf(options)
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 12,
    keepAlive: true,
    connectionTimeoutMillis: 2000,
    application_name: 'sluice-queue',
    options: `-c search_path=${DEFAULT_SCHEMA}`,
  })
  pool.on('error', (err) => log.debug({ err }, 'an idle queue connection broke'))
  let isUp = false
  let closed = false
  const up = (async () => {
    while (!closed) {
      try {
        await migrateQueueTables(pool)
        isUp = true
        return
      } catch (err) {
        log.debug({ err }, 'the queue is not there yet')
        await new Promise((resolve) => setTimeout(resolve, 300))
      }
    }
  })()
  return {
    up,
    isUp: () => isUp,
    redisState: () => 'not_configured',
    openQueue: (name) =>
      new Queue(
        name,
        { connection: pool as never, defaultJobOptions: jobOptions, ...traced },
        createPostgresBackend as never,
      ),
    openWorker: (name, process, settings) =>
      new Worker(
        name,
        process,
        { connection: pool as never, ...settings, ...traced },
        createPostgresBackend as never,
      ),
    async close() {
      closed = true
      await pool.end()
    },
  }
}

/** BullMQ's tables, in a schema of their own beside ours; idempotent, under BullMQ's advisory lock. */
export async function migrateQueueTables(pool: pg.Pool): Promise<void> {
  const client = await pool.connect()
  try {
    await runMigrations(client as never, DEFAULT_SCHEMA)
  } finally {
    client.release()
  }
}

function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer from the queue within ${timeoutMs} ms`)), timeoutMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
