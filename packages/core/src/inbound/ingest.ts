// Taking inbound events in: what every kind shares around the commit that makes a group of events durable.
import type { Database } from '../platform/database.ts'
import { isDataError, isTransientConflict, unavailable } from '../platform/errors.ts'
import { createGroupCommit } from '../platform/group-commit.ts'
import type { JobKind } from '../platform/job.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Queueing } from '../platform/queue.ts'
import type { Tracing } from '../platform/tracing.ts'
import { createBurstWatch } from './bursts.ts'
import { type ConflictingBody, type ConflictKind, recordConflicts } from './conflicts.ts'

export interface IngestDeps {
  db: Database
  queueing: Queueing
  metrics: Metrics
  log: Logger
  tracing?: Tracing | undefined
  /** How long an event may wait to become durable; by default, what a 202 within half a second allows. */
  deadlineMs?: number
}

/** One inbound event as it is stored. */
export interface InboundEvent {
  /** The raw body, UTF-8 without NUL (JSON has none). */
  payload: Buffer
  requestId: string
  /** The trace of its request: events of one commit have one trace each. */
  trace?: string | undefined
}

/** What the commit found out about an event. A duplicate is no error: the first event of an id counts. */
export interface Stored {
  outcome: 'accepted' | 'duplicate' | 'conflict'
  /** Names of the contract fields in which a conflicting duplicate differs. */
  fields?: readonly string[]
}

/** What distinguishes one kind of inbound event from another. */
export interface IngestKind<E extends InboundEvent> {
  kind: ConflictKind
  job: JobKind
  /** From the commit to the time when the row is due. */
  delayMs: number
  idOf: (event: E) => string
  /** The contract fields that make two bodies the same. */
  contractText: (event: E) => string
}

export interface Ingest<E extends InboundEvent, S extends Stored> {
  /** The limits of the group commit. */
  limits: typeof INGEST_LIMITS
  /**
   * Step 1 of a commit: whether the API enqueues the group's jobs itself, right behind the commit. `load` is the
   * number of events under way. If not, the dispatcher enqueues them.
   */
  mayEnqueue: (load: number) => boolean
  /**
   * Step 2, once the group is durable: enqueues the jobs of what is new, counts, and records conflicting bodies.
   * Returns one result for each event; a conflict's result resolves once its body is recorded.
   */
  committed: (group: CommittedGroup<E, S>) => Array<S | Promise<S>>
  /** Instead of step 2, when the commit failed: throws the error that decides what happens to the group. */
  failed: (events: readonly E[], error: unknown) => never
  /** Waits until the conflicting bodies are recorded. */
  drain: () => Promise<void>
}

interface CommittedGroup<E, S> {
  /** In order of arrival; ids may occur twice. */
  events: readonly E[]
  /** One result for each event. */
  stored: readonly S[]
  enqueueNow: boolean
  durationMs: number
}

/**
 * The limits of a commit of inbound events. An event that is not durable within the deadline gets a 503. A 202
 * may take half a second, and recording a conflict as much again, so that every response comes within a second.
 */
const INGEST_LIMITS = {
  rowsPerCommitMax: 1000,
  bytesPerCommitMax: 8 * 1024 * 1024,
  waitingRowsMax: 20_000,
  waitingBytesMax: 64 * 1024 * 1024,
  deadlineMs: 430,
  concurrentCommitsMax: 2,
}

/** A server that refuses every commit must not fill the log. */
const FAILURE_LOG_INTERVAL_MS = 1000
let nextFailureLogAt = 0

export function createIngest<E extends InboundEvent, S extends Stored>(
  deps: IngestDeps,
  kind: IngestKind<E>,
): Ingest<E, S> {
  const limits = { ...INGEST_LIMITS, deadlineMs: deps.deadlineMs ?? INGEST_LIMITS.deadlineMs }
  const isCalm = createBurstWatch()
  const failed = (rows: readonly unknown[], error: unknown) => failCommit(deps, rows, error)
  // A group commit of their own: they wait for locks, and new events must not wait behind them.
  const conflicts = createGroupCommit<ConflictingBody, void>({
    ...limits,
    concurrentCommitsMax: 1,
    sizeBytes: (body) => body.payload.length + 100,
    commit: (bodies) => recordConflicts(deps, kind.kind, bodies).catch((error) => failed(bodies, error)),
  })

  async function recordConflict(event: E, result: S): Promise<S> {
    const { payload, requestId } = event
    const fields = result.fields ?? []
    const contractText = kind.contractText(event)
    await conflicts.submit({ id: kind.idOf(event), contractText, fields, payload, requestId })
    return result
  }

  return {
    limits,
    mayEnqueue: (load) => isCalm(load) && deps.queueing.isReadyForFew(),
    committed(group) {
      const { events, stored, enqueueNow } = group
      const accepted = events.filter((_, i) => stored[i]!.outcome === 'accepted')
      if (enqueueNow) enqueueBehindCommit(deps, kind, accepted)
      else deps.metrics.enqueued.inc({ kind: kind.kind, outcome: 'left' }, accepted.length)
      observe(deps, kind, group)
      if (accepted.length === events.length) return [...stored]
      return stored.map((result, i) =>
        result.outcome === 'conflict' ? recordConflict(events[i]!, result) : result,
      )
    },
    failed,
    drain: conflicts.drain,
  }
}

/** Turns every failure into a 503, except for data errors and deadlocks, which the group commit handles. */
function failCommit({ log }: IngestDeps, rows: readonly unknown[], err: unknown): never {
  if (isTransientConflict(err) || isDataError(err)) throw err
  if (performance.now() >= nextFailureLogAt) {
    nextFailureLogAt = performance.now() + FAILURE_LOG_INTERVAL_MS
    log.warn({ err, rows: rows.length }, 'a commit failed; its events get a 503')
  }
  throw unavailable(err)
}

/** No request waits for this: the dispatcher finds rows whose job is not added, or is lost. */
function enqueueBehindCommit<E extends InboundEvent>(
  { queueing, metrics, log }: IngestDeps,
  { kind, job, delayMs, idOf }: IngestKind<E>,
  events: readonly E[],
): void {
  if (events.length === 0) return
  const count = (outcome: string) => metrics.enqueued.inc({ kind, outcome }, events.length)
  queueing
    .enqueue(
      job,
      events.map((event) => ({ id: idOf(event), delayMs, trace: event.trace })),
    )
    .then(
      () => count('ok'),
      (err) => {
        count('failed')
        log.debug({ err, rows: events.length }, 'jobs not enqueued; the dispatcher will find them')
      },
    )
}

function observe<E extends InboundEvent>(
  { metrics, log }: IngestDeps,
  { kind, idOf }: IngestKind<E>,
  { events, stored, durationMs }: CommittedGroup<E, Stored>,
): void {
  metrics.ingestRows.observe({ kind }, stored.length)
  metrics.ingestDuration.observe({ kind }, durationMs / 1000)
  const counts = { accepted: 0, duplicate: 0, conflict: 0 }
  for (const { outcome } of stored) counts[outcome]++
  for (const [outcome, count] of Object.entries(counts)) {
    if (count > 0) metrics.ingested.inc({ kind, outcome }, count)
  }
  if (!log.isLevelEnabled('debug')) return
  const requests = events.map((event) => [event.requestId, idOf(event)])
  log.debug({ kind, ...counts, durationMs, requests }, 'events recorded')
}
