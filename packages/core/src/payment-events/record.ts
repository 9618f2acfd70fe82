// Recording payment events: dedupe and fold in one commit for a whole group, before anybody is answered.
import { currencyProblem, type ExternalPaymentStatus } from '@sluice/contracts'
import {
  type ConflictingBody,
  type DistinctBody,
  distinctBodies,
  insertConflicts,
  reportConflicts,
} from '../inbound/conflicts.ts'
import { createIngest, type IngestDeps, type Stored } from '../inbound/ingest.ts'
import { differingFields, type RedeliveryWatch, watchRedeliveries } from '../inbound/redeliveries.ts'
import { badRequest, isUniqueViolation, unavailable } from '../platform/errors.ts'
import { contradictions, foldEvent, isSamePayment, statusOf } from './fold.ts'
import { publishPaymentEventJob } from './jobs.ts'
import { packSnapshot } from './snapshot.ts'
import {
  countRedeliveries,
  type FoldedEvent,
  type InboundPaymentEvent,
  insertEvents,
  insertPayments,
  type KnownEvent,
  lockPayments,
  type PaymentEntry,
  readKnownEvents,
  readLocked,
  updatePayments,
} from './store.ts'

/** What became of a delivered event, and its payment after the commit. */
export interface RecordedEvent extends Stored {
  paymentId: string
  status: ExternalPaymentStatus
}

export interface PaymentEventRecorder {
  /**
   * Resolves once the event is durable and its payment has changed. Rejects with BAD_REQUEST_ERROR for a wrong
   * currency, and SERVICE_UNAVAILABLE, in under a second, when it cannot be stored.
   */
  record: (delivery: InboundPaymentEvent) => Promise<RecordedEvent>
  drain: () => Promise<void>
}

/** Each further try sees what the one before ran into; somebody else has got on meanwhile. */
const TRIES_MAX = 8

export function createPaymentEventRecorder(deps: IngestDeps): PaymentEventRecorder {
  const redeliveries = watchRedeliveries()
  const ingest = createIngest<InboundPaymentEvent, RecordedEvent>(deps, {
    kind: 'payment_event',
    job: publishPaymentEventJob,
    delayMs: 0,
    idOf: (delivery) => delivery.event_id,
    lockKeyOf: (delivery) => delivery.payment_id,
    contractText,
    sizeBytes: (delivery) =>
      // The payment's row and the snapshot repeat most of it.
      2 * delivery.event_id.length + 2 * delivery.payment_id.length + 3 * delivery.user_id.length + 300,
    store: (deliveries, enqueueNow) => storeEvents(deps, redeliveries, deliveries, enqueueNow),
  })
  return {
    async record(delivery) {
      const problem = currencyProblem(delivery.currency)
      if (problem !== undefined) throw badRequest(problem)
      return ingest.submit(delivery)
    },
    drain: ingest.drain,
  }
}

/**
 * Nobody is asked whether an event or a payment is new while that is likely: the keys refuse what is not, together with
 * the whole commit, which is then made again with its eyes open.
 */
async function storeEvents(
  deps: IngestDeps,
  redeliveries: RedeliveryWatch,
  deliveries: readonly InboundPaymentEvent[],
  enqueueNow: boolean,
): Promise<RecordedEvent[]> {
  let look = redeliveries.areExpected()
  for (let tries = 1; ; tries++) {
    const known = look ? await readKnownEvents(deps.db, idsOf(deliveries)) : new Map<string, KnownEvent>()
    try {
      const recorded = await commitEvents(deps, deliveries, known, enqueueNow)
      if (recorded.some(({ outcome }) => outcome !== 'accepted')) redeliveries.seen()
      return recorded
    } catch (error) {
      if (!isUniqueViolation(error)) throw error
      if (tries === TRIES_MAX) throw unavailable(error)
      look = true
    }
  }
}

const idsOf = (deliveries: readonly InboundPaymentEvent[]) => [
  ...new Set(deliveries.map(({ event_id }) => event_id)),
]

async function commitEvents(
  deps: IngestDeps,
  deliveries: readonly InboundPaymentEvent[],
  known: ReadonlyMap<string, KnownEvent>,
  enqueueNow: boolean,
): Promise<RecordedEvent[]> {
  const { firsts, again } = sortOut(deliveries, known)
  let payments = new Map<string, PaymentEntry>()
  if (firsts.size === 0) {
    await deps.db.batch(countRedeliveries(again))
  } else {
    let contradicting: DistinctBody[] = []
    const lock = lockPayments([...new Set([...firsts.values()].map(({ delivery }) => delivery.payment_id))])
    await deps.db.lockThenWrite(lock, (rows) => {
      const locked = readLocked(rows)
      payments = locked.payments
      const folded = fold(firsts, payments, locked.nowMs)
      contradicting = distinctBodies(folded.contradicting)
      const all = [...payments.values()]
      const created = all.filter(({ exists }) => !exists)
      const changed = all.filter(({ exists }) => exists)
      return [
        ...(created.length > 0 ? [insertPayments(created)] : []),
        ...(changed.length > 0 ? [updatePayments(changed)] : []),
        insertEvents(folded.events, enqueueNow),
        ...(again.size > 0 ? [countRedeliveries(again)] : []),
        // The payments are ours until the commit, and so are their conflicts.
        ...(contradicting.length > 0 ? [insertConflicts('payment', contradicting)] : []),
      ]
    })
    if (contradicting.length > 0) reportConflicts(deps, 'payment', contradicting)
  }
  return deliveries.map((delivery) => outcomeOf(delivery, { firsts, known, payments }))
}

interface FirstDelivery {
  delivery: InboundPaymentEvent
  /** How often the event came within this commit. */
  deliveries: number
}

/** The new events' first deliveries, in order of arrival, and how often known events came again. */
function sortOut(deliveries: readonly InboundPaymentEvent[], known: ReadonlyMap<string, KnownEvent>) {
  const firsts = new Map<string, FirstDelivery>()
  const again = new Map<string, number>()
  for (const delivery of deliveries) {
    const { event_id } = delivery
    const first = firsts.get(event_id)
    if (known.has(event_id)) again.set(event_id, (again.get(event_id) ?? 0) + 1)
    else if (first === undefined) firsts.set(event_id, { delivery, deliveries: 1 })
    else first.deliveries++
  }
  return { firsts, again }
}

/** Folds new events into their payments, one after the other; changes the entries, and adds those that are missing. */
function fold(
  firsts: ReadonlyMap<string, FirstDelivery>,
  payments: Map<string, PaymentEntry>,
  nowMs: number,
): { events: FoldedEvent[]; contradicting: ConflictingBody[] } {
  const contradicting: ConflictingBody[] = []
  const events: FoldedEvent[] = []
  for (const { delivery, deliveries } of firsts.values()) {
    const entry = payments.get(delivery.payment_id)
    const before = entry?.state
    const state = foldEvent(before, delivery)
    const next = entry === undefined ? newEntry(delivery.payment_id, state, nowMs) : entry
    // Always forwards: events of one commit share its time, and commits may get at a payment in another order than they began.
    if (before !== undefined && !isSamePayment(before, state)) {
      next.updatedAtMs = Math.max(nowMs, next.updatedAtMs + 1)
    }
    next.state = state
    payments.set(delivery.payment_id, next)

    const fields = contradictions(before, delivery, state)
    if (fields.length > 0) contradicting.push(contradictingBody(delivery, fields))
    events.push({
      delivery,
      ordinal: state.eventsCount,
      status: statusOf(delivery),
      statusChanged: before?.deciding.status !== state.deciding.status,
      snapshot: packSnapshot(next),
      deliveries,
    })
  }
  return { events, contradicting }
}

const newEntry = (paymentId: string, state: PaymentEntry['state'], nowMs: number): PaymentEntry => ({
  paymentId,
  exists: false,
  state,
  createdAtMs: nowMs,
  updatedAtMs: nowMs,
})

const contractFields = ['payment_id', 'event', 'amount', 'currency', 'user_id', 'timestamp'] as const

function contractText(delivery: InboundPaymentEvent): string {
  return JSON.stringify(contractFields.map((name) => delivery[name]))
}

/** Each event is a body of its own here, however alike two of them are. */
const contradictingBody = (delivery: InboundPaymentEvent, fields: string[]): ConflictingBody => ({
  id: delivery.payment_id,
  contractText: delivery.event_id,
  fields,
  payload: delivery.payload,
  requestId: delivery.requestId,
})

function outcomeOf(
  delivery: InboundPaymentEvent,
  {
    firsts,
    known,
    payments,
  }: {
    firsts: ReadonlyMap<string, FirstDelivery>
    known: ReadonlyMap<string, KnownEvent>
    payments: ReadonlyMap<string, PaymentEntry>
  },
): RecordedEvent {
  const stored = known.get(delivery.event_id)
  const first = stored ?? firsts.get(delivery.event_id)!.delivery
  const paymentId = first.payment_id
  const status = payments.get(paymentId)?.state.deciding.status ?? stored!.paymentStatus
  if (first === delivery) return { outcome: 'accepted', paymentId, status }
  const fields = differingFields(contractFields, first, delivery)
  return { outcome: fields.length === 0 ? 'duplicate' : 'conflict', fields, paymentId, status }
}
