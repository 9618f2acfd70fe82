// Taking deliveries in: durable in one commit with whatever else arrived, then their jobs are rung for. What is stored, and what is new, each kind says itself.
import type { Database } from '../platform/database.ts'
import { isDataError, isTransientConflict, unavailable } from '../platform/errors.ts'
import { createGroupCommit } from '../platform/group-commit.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { JobKind, Queueing } from '../platform/queue.ts'
import type { Tracing } from '../platform/tracing.ts'
import { type ConflictingBody, type ConflictKind, recordRedeliveries } from './conflicts.ts'

export interface IngestDeps {
  db: Database
  queueing: Queueing
  metrics: Metrics
  log: Logger
  tracing?: Tracing | undefined
}

/** One delivery as it is stored. */
export interface InboundEvent {
  /** The raw body, UTF-8 without NUL (JSON has none). */
  payload: Buffer
  requestId: string
  /** The trace of its request: a commit is shared, and its jobs are not. */
  trace?: string | undefined
}

/** What became of a delivery. A redelivery is no error: the first one stands. */
export interface Stored {
  outcome: 'accepted' | 'duplicate' | 'conflict'
  /** Names of the contract fields in which a conflicting redelivery differs. */
  fields?: readonly string[]
}

export interface IngestKind<D extends InboundEvent, S extends Stored> {
  kind: ConflictKind
  job: JobKind
  /** From the commit to the time when the row's work is to be done. */
  delayMs: number
  idOf: (delivery: D) => string
  /** What a delivery's commit locks besides its own row. */
  lockKeyOf?: (delivery: D) => string
  /** The contract fields that make two bodies the same. */
  contractText: (delivery: D) => string
  /** The texts besides the payload. */
  sizeBytes: (delivery: D) => number
  /**
   * Makes durable what is new among the deliveries, which are in order of arrival and may have ids twice, in one
   * commit; answers what became of each. `enqueueNow`: whether their jobs are added right behind the commit.
   */
  store: (deliveries: readonly D[], enqueueNow: boolean) => Promise<S[]>
}

export interface Ingest<D extends InboundEvent, S extends Stored> {
  /** Resolves once the delivery is durable. Rejects with SERVICE_UNAVAILABLE, in under a second, when it cannot be stored. */
  submit: (delivery: D) => Promise<S>
  drain: () => Promise<void>
}

/**
 * A delivery that is not durable by then is answered 503. Half a second is what a 202 may take; a contradiction is
 * recorded after that in as much again, so that every answer comes within a second.
 */
const DEADLINE_MS = 430

/** A server that refuses everything would fill the log. */
const FAILURE_LOG_INTERVAL_MS = 1000
let nextFailureLogAt = 0

/**
 * While no more rows than this are under way, and for a while were not, a commit's jobs are enqueued by the API itself,
 * right behind it. Beyond, which is a burst, they are left to the dispatcher, since enqueueing costs far more than storing.
 */
const CALM_LOAD_MAX = 32
const CALM_AFTER_MS = 250

function watchForBursts(): (load: number) => boolean {
  let calmFrom = 0
  return (load) => {
    const now = performance.now()
    if (load > CALM_LOAD_MAX) calmFrom = now + CALM_AFTER_MS
    return now >= calmFrom
  }
}

export function createIngest<D extends InboundEvent, S extends Stored>(
  deps: IngestDeps,
  kind: IngestKind<D, S>,
): Ingest<D, S> {
  const { tracing } = deps
  const bounds = {
    rowsPerCommitMax: 1000,
    bytesPerCommitMax: 8 * 1024 * 1024,
    waitingRowsMax: 20_000,
    waitingBytesMax: 64 * 1024 * 1024,
    deadlineMs: DEADLINE_MS,
  }
  // Apart, since these lock what somebody else may hold: new deliveries must not wait behind them.
  const conflicts = createGroupCommit<ConflictingBody, void>({
    ...bounds,
    sizeBytes: (body) => body.payload.length + 100,
    concurrentCommitsMax: 1,
    commit: (bodies) =>
      recordRedeliveries(deps, kind.kind, bodies).catch((error) => failCommit(deps, bodies, error)),
  })
  const isCalm = watchForBursts()

  async function commit(deliveries: readonly D[], load: number): Promise<Array<S | Promise<S>>> {
    const startedAt = performance.now()
    const enqueueNow = isCalm(load) && deps.queueing.isReadyForFew()
    const stored = await kind.store(deliveries, enqueueNow)
    const accepted = deliveries.filter((_, i) => stored[i]!.outcome === 'accepted')
    if (enqueueNow) enqueueBehindCommit(deps, kind, accepted)
    else deps.metrics.enqueued.inc({ kind: kind.kind, outcome: 'left' }, accepted.length)
    observe(deps, kind, deliveries, stored, performance.now() - startedAt)
    if (accepted.length === deliveries.length) return stored
    return stored.map((result, i) => (result.outcome === 'conflict' ? keep(deliveries[i]!, result) : result))
  }

  async function keep(delivery: D, result: S): Promise<S> {
    const { payload, requestId } = delivery
    const id = kind.idOf(delivery)
    const contractText = kind.contractText(delivery)
    await conflicts.submit({ id, contractText, fields: result.fields ?? [], payload, requestId })
    return result
  }

  const group = createGroupCommit<D, S>({
    ...bounds,
    sizeBytes: (delivery) => delivery.payload.length + kind.sizeBytes(delivery) + 64,
    ...(kind.lockKeyOf === undefined ? {} : { keyOf: kind.lockKeyOf }),
    concurrentCommitsMax: 2,
    commit: (deliveries, load) =>
      commit(deliveries, load).catch((error) => failCommit(deps, deliveries, error)),
  })
  deps.metrics.observeIngestLoad(kind.kind, group.load)
  return {
    submit: (delivery) =>
      group.submit(tracing === undefined ? delivery : { ...delivery, trace: tracing.current() }),
    async drain() {
      await group.drain()
      await conflicts.drain()
    },
  }
}

/** Whatever keeps a commit from becoming durable is for another try; only the rows' own faults and deadlocks are not. */
function failCommit({ log }: IngestDeps, rows: readonly unknown[], err: unknown): never {
  if (isTransientConflict(err) || isDataError(err)) throw err
  if (performance.now() >= nextFailureLogAt) {
    nextFailureLogAt = performance.now() + FAILURE_LOG_INTERVAL_MS
    log.warn({ err, rows: rows.length }, 'a commit failed; its deliveries are answered 503')
  }
  throw unavailable(err)
}

/** Nobody waits for this: a job that is not added, or lost, is the dispatcher's to find. */
function enqueueBehindCommit<D extends InboundEvent, S extends Stored>(
  { queueing, metrics, log }: IngestDeps,
  { kind, job, delayMs, idOf }: IngestKind<D, S>,
  deliveries: readonly D[],
): void {
  if (deliveries.length === 0) return
  const count = (outcome: string) => metrics.enqueued.inc({ kind, outcome }, deliveries.length)
  queueing
    .enqueue(
      job,
      deliveries.map((delivery) => ({ id: idOf(delivery), delayMs, trace: delivery.trace })),
    )
    .then(
      () => count('ok'),
      (err) => {
        count('failed')
        log.debug({ err, rows: deliveries.length }, 'jobs not enqueued; the dispatcher will find them')
      },
    )
}

function observe<D extends InboundEvent, S extends Stored>(
  { metrics, log }: IngestDeps,
  { kind, idOf }: IngestKind<D, S>,
  deliveries: readonly D[],
  stored: readonly S[],
  durationMs: number,
): void {
  metrics.ingestRows.observe({ kind }, stored.length)
  metrics.ingestDuration.observe({ kind }, durationMs / 1000)
  const counts = { accepted: 0, duplicate: 0, conflict: 0 }
  for (const { outcome } of stored) counts[outcome]++
  for (const [outcome, count] of Object.entries(counts)) {
    if (count > 0) metrics.ingested.inc({ kind, outcome }, count)
  }
  if (!log.isLevelEnabled('debug')) return
  const requests = deliveries.map((delivery) => [delivery.requestId, idOf(delivery)])
  log.debug({ kind, ...counts, durationMs, requests }, 'deliveries recorded')
}
