// Recording payment events: deduplication and the payment's new state in one commit for a group, before the response.
import { currencyProblem } from '@sluice/contracts'
import { createIngest, type IngestDeps } from '../inbound/index.ts'
import { badRequest } from '../platform/errors.ts'
import { createGroupCommit } from '../platform/group-commit.ts'
import { contractText, createEventStore, type RecordedEvent } from './commit.ts'
import { publishPaymentEventJob } from './jobs.ts'
import type { InboundPaymentEvent } from './store.ts'

export interface PaymentEventRecorder {
  /**
   * Resolves once the event is durable and its payment has changed. Rejects with BAD_REQUEST_ERROR for a wrong
   * currency, and SERVICE_UNAVAILABLE, in under a second, when it cannot be stored.
   */
  record: (event: InboundPaymentEvent) => Promise<RecordedEvent>
  drain: () => Promise<void>
}

/** The calls go down: record, group commit, `commitGroup` with its three steps. */
export function createPaymentEventRecorder(deps: IngestDeps): PaymentEventRecorder {
  const { tracing, metrics } = deps
  const store = createEventStore(deps)
  const ingest = createIngest<InboundPaymentEvent, RecordedEvent>(deps, {
    kind: 'payment_event',
    job: publishPaymentEventJob,
    delayMs: 0,
    idOf: (event) => event.event_id,
    contractText,
  })
  const group = createGroupCommit<InboundPaymentEvent, RecordedEvent>({
    ...ingest.limits,
    sizeBytes,
    keyOf: (event) => event.payment_id,
    commit: commitGroup,
  })
  metrics.observeIngestLoad('payment_event', group.load)

  async function commitGroup(events: readonly InboundPaymentEvent[], load: number) {
    const startedAt = performance.now()
    const enqueueNow = ingest.mayEnqueue(load) // 1. who enqueues
    // 2. store
    const stored = await store(events, enqueueNow).catch((error) => ingest.failed(events, error))
    // 3. enqueue, count, and record conflicts
    return ingest.committed({ events, stored, enqueueNow, durationMs: performance.now() - startedAt })
  }

  return {
    async record(event) {
      const problem = currencyProblem(event.currency)
      if (problem !== undefined) throw badRequest(problem)
      return group.submit(tracing === undefined ? event : { ...event, trace: tracing.current() })
    },
    async drain() {
      await group.drain()
      await ingest.drain()
    },
  }
}

/** The payment's row and the snapshot repeat most of an event. */
const sizeBytes = ({ payload, event_id, payment_id, user_id }: InboundPaymentEvent) =>
  payload.length + 2 * event_id.length + 2 * payment_id.length + 3 * user_id.length + 364
