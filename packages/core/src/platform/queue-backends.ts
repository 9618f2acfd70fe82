// The queue's two backends: Redis, or the same PostgreSQL. BullMQ is started once a backend's server has connected.
import { setTimeout as pause } from 'node:timers/promises'
import {
  type BackendFactory,
  createPostgresBackend,
  createRedisBackend,
  DEFAULT_SCHEMA,
  type IQueueBackend,
  isNotConnectionError,
  type Job,
  Queue,
  runMigrations,
  Worker,
} from 'bullmq'
import { Redis } from 'ioredis'
import pg from 'pg'
import { isUnavailable } from './errors.ts'
import type { Logger } from './logger.ts'
import type { Tracing } from './tracing.ts'

export type RedisState = 'connected' | 'disconnected' | 'not_configured'

export interface QueueingOptions {
  databaseUrl: string
  redisUrl: string | undefined
  /** The beginning of Redis's keys, before the queue's name. */
  prefix?: string
  log: Logger
  tracing?: Tracing | undefined
}

/** How long one command to the queue may take. */
export const COMMAND_TIMEOUT_MS = 2000

const jobOptions = {
  // A completed job that stays would silently swallow a later add of the same row.
  removeOnComplete: true,
  removeOnFail: true,
  attempts: 10,
  backoff: { type: 'fixed', delay: 1000 },
} as const

/** How long a fetch of jobs that failed waits before the next one. */
export const RETRY_PAUSE_MS = 1000

type Process = (job: Job<{ id: string }>, token?: string) => Promise<void>
type WorkerSettings = {
  autorun: false
  concurrency: number
  lockDuration: number
  stalledInterval: number
  maxStalledCount: number
  runRetryDelay: number
}

export interface Backend {
  /** Resolves when the server is connected for the first time. */
  up: Promise<void>
  isUp: () => boolean
  /** The least time between enqueues of a few jobs each. */
  enqueueGapMs: number
  redisState: () => RedisState
  openQueue: (name: string) => Queue
  openWorker: (name: string, process: Process, settings: WorkerSettings) => Worker
  close: () => Promise<void>
}

/** What producer and consumer share. */
export interface QueueParts {
  backend: Backend
  /** Aborted when the queueing is closed. */
  closing: AbortSignal
  log: Logger
  tracing?: Tracing | undefined
}

/** The backend logs once that its server is away; any other error is a fault. */
export function logQueueError(log: Logger, queue: string, err: Error): void {
  if (isUnavailable(err)) log.debug({ err, queue }, 'the queue is away')
  else log.warn({ err, queue }, 'queue error')
}

const telemetryOf = ({ tracing }: QueueingOptions) =>
  tracing === undefined ? {} : { telemetry: tracing.telemetry }

export function redisBackend(options: QueueingOptions, url: string): Backend {
  const { log, prefix = 'sluice' } = options
  const traced = telemetryOf(options)
  // Producers fail at once when Redis is away; consumers wait for it.
  const producer = new Redis(url, {
    connectTimeout: 2000,
    commandTimeout: COMMAND_TIMEOUT_MS,
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
    if (isUp) log.warn({ err }, 'Redis is away; events are still recorded')
    isUp = false
  }
  producer.on('error', down)
  producer.on('close', () => down())
  return {
    up,
    isUp: () => isUp,
    enqueueGapMs: 0,
    redisState: () => (isUp ? 'connected' : 'disconnected'),
    openQueue: (name) =>
      new Queue(name, { connection: producer, prefix, defaultJobOptions: jobOptions, ...traced }),
    openWorker: (name, process, settings) =>
      new Worker(
        name,
        process,
        { connection: consumer, prefix, ...settings, ...traced },
        pausingRedisBackend as never,
      ),
    async close() {
      producer.disconnect()
      consumer.disconnect()
    },
  }
}

export function postgresBackend(options: QueueingOptions): Backend {
  const { databaseUrl, log } = options
  const traced = telemetryOf(options)
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 12,
    keepAlive: true,
    connectionTimeoutMillis: 2000,
    // On a lost route no error arrives: without this limit a query would wait for minutes.
    query_timeout: 10_000,
    application_name: 'sluice-queue',
    options: `-c search_path=${DEFAULT_SCHEMA}`,
  })
  pool.on('error', (err) => log.debug({ err }, 'an idle queue connection broke'))
  // A connection that breaks while it is checked out rejects its query; without a listener it would end the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  const connection = eventless(pool)
  let isUp = false
  let closed = false
  const up = (async () => {
    while (!closed) {
      try {
        await migrateQueueTables(pool)
        isUp = true
        return
      } catch (err) {
        log.debug({ err }, 'the queue is not available yet')
        await new Promise((resolve) => setTimeout(resolve, 300))
      }
    }
  })()
  return {
    up,
    isUp: () => isUp,
    // A bulk add makes temporary tables: 6 ms of the server's time, also for a few jobs (measured).
    enqueueGapMs: 50,
    redisState: () => 'not_configured',
    openQueue: (name) =>
      new Queue(
        name,
        { connection, defaultJobOptions: jobOptions, ...traced },
        createPostgresBackend as never,
      ),
    openWorker: (name, process, settings) =>
      new Worker(name, process, { connection, ...settings, ...traced }, pausingPostgresBackend as never),
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

/**
 * The pool without its events. Each BullMQ object adds an 'error' listener to its pool and never removes it, and each
 * attempt to connect makes a new object.
 */
function eventless(pool: pg.Pool): never {
  const { options } = pool
  return {
    options,
    connect: () => pool.connect(),
    query: (text: string, values: unknown[]) => pool.query(text, values),
    end: () => pool.end(),
    on() {},
  } as never
}

/**
 * BullMQ's worker pauses only after errors that it knows as lost connections. After any other error it fetches again
 * at once: with a refused connection that is a busy loop, of microtasks where BullMQ remembers the refusal.
 */
function pauseAfterErrors(backend: IQueueBackend): IQueueBackend {
  const moveToActive = backend.moveToActive.bind(backend)
  backend.moveToActive = async (token, name) => {
    try {
      return await moveToActive(token, name)
    } catch (err) {
      if (isNotConnectionError(err as Error)) await pause(RETRY_PAUSE_MS)
      throw err
    }
  }
  return backend
}

const pausingRedisBackend: BackendFactory = (...options) => pauseAfterErrors(createRedisBackend(...options))

/** While the LISTEN connection is refused, the worker polls; BullMQ's own would sleep until a notification. */
const pausingPostgresBackend: typeof createPostgresBackend = (...options) => {
  const backend = createPostgresBackend(...options)
  pauseAfterErrors(backend)
  const waitForJob = backend.waitForJob.bind(backend)
  backend.waitForJob = async (timeoutSeconds) => {
    try {
      return await waitForJob(timeoutSeconds)
    } catch (err) {
      backend.emit('error', err)
      await pause(RETRY_PAUSE_MS)
      return { member: '', score: 0 } // score 0: fetch now
    }
  }
  return backend
}
