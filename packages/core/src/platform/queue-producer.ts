// The producer's side of the queue: adds jobs, and counts them.
import type { Queue } from 'bullmq'
import type { JobEntry, JobKind, QueueCounts } from './job.ts'
import { COMMAND_TIMEOUT_MS, logQueueError, type QueueParts } from './queue-backends.ts'
import { startFresh } from './queue-start.ts'
import { withTimeout } from './with-timeout.ts'

/** Bulk adds under way at once; rows beyond are left to the dispatcher. */
const ENQUEUES_MAX = 8

/** BullMQ refuses integers and colons in ids; with the prefix and percent-encoding any text fits. */
const jobIdOf = (rowId: string) => `row-${encodeURIComponent(rowId)}`

interface State extends QueueParts {
  /** By name; undefined when the queueing was closed before the queue connected. */
  queues: Map<string, Promise<Queue | undefined>>
  /** Names of queues whose first connect failed: until a retry succeeds, their calls fail at once. */
  refused: Set<string>
  enqueuesUnderWay: Set<Promise<unknown>>
  lastEnqueueAt: number
}

export function createProducer(parts: QueueParts) {
  const state: State = {
    ...parts,
    queues: new Map(),
    refused: new Set(),
    enqueuesUnderWay: new Set(),
    lastEnqueueAt: Number.NEGATIVE_INFINITY,
  }
  const { backend, closing } = parts
  const isReady = () => backend.isUp() && state.enqueuesUnderWay.size < ENQUEUES_MAX && !closing.aborted
  return {
    isReady,
    isReadyForFew: () => isReady() && performance.now() - state.lastEnqueueAt >= backend.enqueueGapMs,
    enqueue: (kind: JobKind, entries: readonly JobEntry[]) => enqueue(state, kind, entries),
    counts: (kind: JobKind) => counts(state, kind),
    async close() {
      await Promise.allSettled(state.enqueuesUnderWay)
      const closeQueue = async (started: Promise<Queue | undefined>) => (await started)?.close()
      const closed = Promise.all([...state.queues.values()].map(closeQueue))
      await withTimeout(COMMAND_TIMEOUT_MS, closed).catch(() => {})
    },
  }
}

async function enqueue(state: State, kind: JobKind, entries: readonly JobEntry[]): Promise<void> {
  const { backend, tracing, enqueuesUnderWay } = state
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
  const add = async () => (await queueOf(state, kind)).addBulk(jobs)
  // Jobs that share an add belong to the first one's trace, not to the trace of the request that runs this.
  const added = tracing === undefined ? add() : tracing.within(entries[0]?.trace, add)
  const underWay = withTimeout(COMMAND_TIMEOUT_MS, added)
  enqueuesUnderWay.add(underWay)
  state.lastEnqueueAt = performance.now()
  try {
    await underWay
  } finally {
    enqueuesUnderWay.delete(underWay)
  }
}

async function counts(state: State, kind: JobKind): Promise<QueueCounts> {
  if (!state.backend.isUp()) throw new Error('the queue is not connected')
  const counted = await withTimeout(
    COMMAND_TIMEOUT_MS,
    queueOf(state, kind).then((queue) => queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed')),
  )
  return {
    waiting: (counted.waiting ?? 0) + (counted.prioritized ?? 0),
    active: counted.active ?? 0,
    delayed: counted.delayed ?? 0,
  }
}

/** The kind's queue, once it is connected. */
async function queueOf({ queues, refused, backend, log, closing }: State, kind: JobKind): Promise<Queue> {
  let started = queues.get(kind.queue)
  if (started === undefined) {
    const open = () => {
      const queue = backend.openQueue(kind.queue)
      queue.on('error', (err) => logQueueError(log, kind.queue, err))
      return queue
    }
    const onFailure = () => void refused.add(kind.queue)
    started = startFresh(open, { stop: closing, log, onFailure }).finally(() => refused.delete(kind.queue))
    queues.set(kind.queue, started)
  }
  if (refused.has(kind.queue)) throw new Error('the queue is not connected')
  const queue = await started
  if (queue === undefined) throw new Error('the queue is closed')
  return queue
}
