// The consumer's side of the queue: BullMQ workers that call handlers, replaced when they end before the process does.
import { DelayedError, type Job, type Worker } from 'bullmq'
import type { JobHandler, JobKind } from './job.ts'
import { logQueueError, type QueueParts } from './queue-backends.ts'
import { pauseUnless, startFresh } from './queue-start.ts'
import { withTimeout } from './with-timeout.ts'

/**
 * A dead worker's jobs are taken over when their lock has expired and a check has seen it: after 4 + 2 × 1.5 s at
 * most. There is no limit on how often that may happen to one job: the row decides whether there is work left.
 */
const LOCK_MS = 4000
const STALLED_INTERVAL_MS = 1500
/** How long a worker waits before it polls again after its server went away; BullMQ's default is 15 s. */
const RUN_RETRY_DELAY_MS = 1000
/** BullMQ's PostgreSQL functions take it as an integer. */
const INT32_MAX = 2 ** 31 - 1
/** How long running jobs may take to end at shutdown; it leaves time for the rest of the ten seconds. */
const CLOSE_TIMEOUT_MS = 5000

interface State extends QueueParts {
  workers: Set<Worker>
}

export function createConsumer(parts: QueueParts) {
  const state: State = { ...parts, workers: new Set() }
  return {
    consume(kind: JobKind, handler: JobHandler, { concurrency }: { concurrency: number }): void {
      consume(state, kind, handler, concurrency).catch((err) => state.log.error({ err }, 'cannot consume'))
    },
    async close() {
      // While the queue's server is away, BullMQ would wait for it. An unclean close loses nothing.
      const closed = Promise.all([...state.workers].map((worker) => worker.close()))
      await withTimeout(CLOSE_TIMEOUT_MS, closed).catch(() => {})
    },
  }
}

/** Consumes until the queueing is closed: a worker that ends before that is replaced. */
async function consume(state: State, kind: JobKind, handler: JobHandler, concurrency: number): Promise<void> {
  const { backend, closing, log, workers } = state
  // Before the server is connected for the first time there is nothing to consume from.
  await backend.up
  while (!closing.aborted) {
    const worker = await startFresh(() => openWorker(state, kind, handler, concurrency), {
      stop: closing,
      log,
    })
    if (worker === undefined) return
    workers.add(worker)
    if (closing.aborted) return void worker.close().catch(() => {})
    await worker.run().catch((err) => log.error({ err, queue: kind.queue }, 'a queue worker failed'))
    if (closing.aborted) return
    workers.delete(worker)
    worker.close().catch(() => {})
    await pauseUnless(closing)
  }
}

function openWorker(
  { backend, log }: State,
  kind: JobKind,
  handler: JobHandler,
  concurrency: number,
): Worker {
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
  worker.on('error', (err) => logQueueError(log, kind.queue, err))
  worker.on('failed', (job, err) => {
    log.warn({ err, queue: kind.queue, id: job?.data.id, attempt: job?.attemptsMade }, 'job failed')
  })
  return worker
}
