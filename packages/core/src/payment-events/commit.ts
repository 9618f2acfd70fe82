// The commit of a group of payment events: finds out what is new, folds it into the payments, and writes both.
import type { ExternalPaymentStatus } from '@sluice/contracts'
import {
  type ConflictingBody,
  createDuplicateWatch,
  type DistinctBody,
  differingFields,
  distinctBodies,
  type IngestDeps,
  insertConflicts,
  reportConflicts,
  type Stored,
} from '../inbound/index.ts'
import { isUniqueViolation, unavailable } from '../platform/errors.ts'
import { contradictions, foldEvent, isSamePayment, statusOf } from './fold.ts'
import { packSnapshot } from './snapshot.ts'
import {
  countDuplicates,
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

/** What the commit found out about an event, and its payment after the commit. */
export interface RecordedEvent extends Stored {
  paymentId: string
  status: ExternalPaymentStatus
}

/** Each retry reads what the previous attempt collided with, and another process made progress meanwhile. */
const ATTEMPTS_MAX = 8

type StoreEvents = (events: readonly InboundPaymentEvent[], enqueueNow: boolean) => Promise<RecordedEvent[]>

/**
 * Optimistic insert: while no duplicates are expected, the first attempt takes every event and payment as new. On a
 * unique violation nothing is written; the next attempt reads the existing events first.
 */
export function createEventStore(deps: IngestDeps): StoreEvents {
  const duplicates = createDuplicateWatch()
  return async function storeEvents(events, enqueueNow) {
    let readFirst = duplicates.areExpected()
    for (let attempt = 1; ; attempt++) {
      const known = readFirst ? await readKnownEvents(deps.db, idsOf(events)) : new Map<string, KnownEvent>()
      try {
        const recorded = await commitEvents(deps, events, known, enqueueNow)
        if (recorded.some(({ outcome }) => outcome !== 'accepted')) duplicates.seen()
        return recorded
      } catch (error) {
        if (!isUniqueViolation(error)) throw error
        if (attempt === ATTEMPTS_MAX) throw unavailable(error)
        readFirst = true
      }
    }
  }
}

const idsOf = (events: readonly InboundPaymentEvent[]) => [...new Set(events.map(({ event_id }) => event_id))]

async function commitEvents(
  deps: IngestDeps,
  events: readonly InboundPaymentEvent[],
  known: ReadonlyMap<string, KnownEvent>,
  enqueueNow: boolean,
): Promise<RecordedEvent[]> {
  const { firsts, again } = separate(events, known)
  let payments = new Map<string, PaymentEntry>()
  if (firsts.size === 0) {
    await deps.db.batch(countDuplicates(again))
  } else {
    let contradicting: DistinctBody[] = []
    const lock = lockPayments([...new Set([...firsts.values()].map(({ event }) => event.payment_id))])
    await deps.db.lockThenWrite(lock, (rows) => {
      const locked = readLocked(rows)
      payments = locked.payments
      const folded = foldAll(firsts, payments, locked.nowMs)
      contradicting = distinctBodies(folded.contradicting)
      const all = [...payments.values()]
      const created = all.filter(({ exists }) => !exists)
      const changed = all.filter(({ exists }) => exists)
      return [
        ...(created.length > 0 ? [insertPayments(created)] : []),
        ...(changed.length > 0 ? [updatePayments(changed)] : []),
        insertEvents(folded.events, enqueueNow),
        ...(again.size > 0 ? [countDuplicates(again)] : []),
        // This commit holds the locks of the payments, and so of their conflicts.
        ...(contradicting.length > 0 ? [insertConflicts('payment', contradicting)] : []),
      ]
    })
    if (contradicting.length > 0) reportConflicts(deps, 'payment', contradicting)
  }
  return events.map((event) => outcomeOf(event, { firsts, known, payments }))
}

interface NewEvent {
  event: InboundPaymentEvent
  /** How often the event came within this commit. */
  times: number
}

/** The new events, in order of arrival, and how often known events came again. */
function separate(events: readonly InboundPaymentEvent[], known: ReadonlyMap<string, KnownEvent>) {
  const firsts = new Map<string, NewEvent>()
  const again = new Map<string, number>()
  for (const event of events) {
    const { event_id } = event
    const first = firsts.get(event_id)
    if (known.has(event_id)) again.set(event_id, (again.get(event_id) ?? 0) + 1)
    else if (first === undefined) firsts.set(event_id, { event, times: 1 })
    else first.times++
  }
  return { firsts, again }
}

/** Folds new events into their payments, one after the other; updates the entries of `payments` and adds missing ones. */
function foldAll(
  firsts: ReadonlyMap<string, NewEvent>,
  payments: Map<string, PaymentEntry>,
  nowMs: number,
): { events: FoldedEvent[]; contradicting: ConflictingBody[] } {
  const contradicting: ConflictingBody[] = []
  const events: FoldedEvent[] = []
  for (const { event, times } of firsts.values()) {
    const entry = payments.get(event.payment_id)
    const before = entry?.state
    const state = foldEvent(before, event)
    const next = entry === undefined ? newEntry(event.payment_id, state, nowMs) : entry
    // Always forwards: events of one commit share its time, and commits may lock a payment in another order than they began.
    if (before !== undefined && !isSamePayment(before, state)) {
      next.updatedAtMs = Math.max(nowMs, next.updatedAtMs + 1)
    }
    next.state = state
    payments.set(event.payment_id, next)

    const fields = contradictions(before, event, state)
    if (fields.length > 0) contradicting.push(contradictingBody(event, fields))
    events.push({
      event,
      ordinal: state.eventsCount,
      status: statusOf(event),
      statusChanged: before?.deciding.status !== state.deciding.status,
      snapshot: packSnapshot(next),
      times,
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

/** The text that makes two bodies the same. */
export const contractText = (event: InboundPaymentEvent): string =>
  JSON.stringify(contractFields.map((name) => event[name]))

/** Conflicts of a payment are distinct by event id, even if two events have equal fields. */
const contradictingBody = (event: InboundPaymentEvent, fields: string[]): ConflictingBody => ({
  id: event.payment_id,
  contractText: event.event_id,
  fields,
  payload: event.payload,
  requestId: event.requestId,
})

function outcomeOf(
  event: InboundPaymentEvent,
  {
    firsts,
    known,
    payments,
  }: {
    firsts: ReadonlyMap<string, NewEvent>
    known: ReadonlyMap<string, KnownEvent>
    payments: ReadonlyMap<string, PaymentEntry>
  },
): RecordedEvent {
  const stored = known.get(event.event_id)
  const first = stored ?? firsts.get(event.event_id)!.event
  const paymentId = first.payment_id
  const status = payments.get(paymentId)?.state.deciding.status ?? stored!.paymentStatus
  if (first === event) return { outcome: 'accepted', paymentId, status }
  const fields = differingFields(contractFields, first, event)
  return { outcome: fields.length === 0 ? 'duplicate' : 'conflict', fields, paymentId, status }
}
