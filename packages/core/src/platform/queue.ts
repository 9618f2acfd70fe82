// The queue: BullMQ on Redis or on PostgreSQL. A job's payload is a row's id; a lost job loses no work (decision 0001).
import type { JobEntry, JobHandler, JobKind, QueueCounts } from './job.ts'
import { postgresBackend, type QueueingOptions, type RedisState, redisBackend } from './queue-backends.ts'
import { createConsumer } from './queue-consumer.ts'
import { createProducer } from './queue-producer.ts'

export interface Queueing {
  /** Whether the queue is connected and takes jobs now. */
  isReady: () => boolean
  /** Whether an enqueue of a few jobs is worth its cost now; if not, the dispatcher enqueues them with many others. */
  isReadyForFew: () => boolean
  /** The least time between enqueues of a few jobs each. */
  enqueueGapMs: number
  redisState: () => RedisState
  /** Adds jobs; an id that already has a live job stays as it is. Rejects within two seconds when the queue is away. */
  enqueue: (kind: JobKind, entries: readonly JobEntry[]) => Promise<void>
  counts: (kind: JobKind) => Promise<QueueCounts>
  /** Handles jobs as soon as the queue's server is connected. */
  consume: (kind: JobKind, handler: JobHandler, options: { concurrency: number }) => void
  /** Stops taking jobs, waits for running ones, closes connections. */
  close: () => Promise<void>
}

export function openQueueing(options: QueueingOptions): Queueing {
  const backend =
    options.redisUrl === undefined ? postgresBackend(options) : redisBackend(options, options.redisUrl)
  const closing = new AbortController()
  const parts = { backend, closing: closing.signal, log: options.log, tracing: options.tracing }
  const producer = createProducer(parts)
  const consumer = createConsumer(parts)
  return {
    isReady: producer.isReady,
    isReadyForFew: producer.isReadyForFew,
    enqueueGapMs: backend.enqueueGapMs,
    redisState: backend.redisState,
    enqueue: producer.enqueue,
    counts: producer.counts,
    consume: consumer.consume,
    async close() {
      closing.abort()
      await consumer.close()
      await producer.close()
      await backend.close()
    },
  }
}
