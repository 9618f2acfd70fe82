// The state of an external payment: a pure function of the set of its events, kept incrementally (decisions 0009, 0010).
import type { ExternalPaymentStatus, PaymentEventRequest } from '@sluice/contracts'

/** An event without the id of its payment. */
export type PaymentEvent = Omit<PaymentEventRequest, 'payment_id'>

/** What decides between two events of a payment. */
export interface Rank {
  status: ExternalPaymentStatus
  /** Unix seconds by the processor's clock. */
  timestamp: number
  eventId: string
}

/** Amount, currency and user of the payment, as one event states them. */
interface Terms extends Rank {
  /** Minor units. */
  amount: number
  currency: string
  userId: string
}

/** All that must be kept of the events to fold in one more. */
export interface PaymentState {
  /** Of the greatest event. */
  deciding: Rank
  /** Of the greatest event that is not a refund; if there are only refunds, of the greatest refund. */
  terms: Terms
  /** Sums of refunds in minor units, by currency. */
  refunds: Readonly<Record<string, bigint>>
  eventsCount: number
}

const precedence: Record<ExternalPaymentStatus, number> = { pending: 0, failed: 0, completed: 1, refunded: 2 }

/** Of pending and failed with the same timestamp, failed is the greater. */
const tieBreak: Record<ExternalPaymentStatus, number> = { pending: 0, failed: 1, completed: 0, refunded: 0 }

/** Above 0 when `a` is the greater event, below when `b` is, 0 only for the same event. A total order. */
export function compareRanks(a: Rank, b: Rank): number {
  return (
    precedence[a.status] - precedence[b.status] ||
    a.timestamp - b.timestamp ||
    tieBreak[a.status] - tieBreak[b.status] ||
    compareBytes(a.eventId, b.eventId)
  )
}

/** As PostgreSQL's COLLATE "C" does. JavaScript's own order is that of UTF-16, which puts U+FFFD above any emoji. */
const compareBytes = (a: string, b: string) => (a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)))

export const statusOf = (event: PaymentEvent): ExternalPaymentStatus =>
  event.event.slice('payment.'.length) as ExternalPaymentStatus

/** The payment after one more event, which must be new to it. Never changes `state`. */
export function foldEvent(state: PaymentState | undefined, event: PaymentEvent): PaymentState {
  const terms = termsOf(event)
  if (state === undefined) {
    return { deciding: rankOf(terms), terms, refunds: addRefund({}, terms), eventsCount: 1 }
  }
  return {
    deciding: compareRanks(terms, state.deciding) > 0 ? rankOf(terms) : state.deciding,
    terms: compareTerms(terms, state.terms) > 0 ? terms : state.terms,
    refunds: addRefund(state.refunds, terms),
    eventsCount: state.eventsCount + 1,
  }
}

/** Refunds decide the terms only while no other event is known. */
const compareTerms = (a: Terms, b: Terms) =>
  Number(a.status !== 'refunded') - Number(b.status !== 'refunded') || compareRanks(a, b)

const addRefund = (refunds: PaymentState['refunds'], { status, currency, amount }: Terms) =>
  status === 'refunded' ? { ...refunds, [currency]: (refunds[currency] ?? 0n) + BigInt(amount) } : refunds

const rankOf = ({ status, timestamp, eventId }: Terms): Rank => ({ status, timestamp, eventId })

function termsOf(event: PaymentEvent): Terms {
  const { event_id: eventId, timestamp, amount, currency, user_id: userId } = event
  return { status: statusOf(event), timestamp, eventId, amount, currency, userId }
}

/** The refunded sum in the payment's own currency, in minor units. */
export const refundedAmount = ({ refunds, terms }: PaymentState): bigint => refunds[terms.currency] ?? 0n

/** Whether two states look the same, apart from the number of events. */
export const isSamePayment = (a: PaymentState, b: PaymentState): boolean =>
  a.deciding.status === b.deciding.status &&
  a.deciding.timestamp === b.deciding.timestamp &&
  a.terms.amount === b.terms.amount &&
  a.terms.currency === b.terms.currency &&
  a.terms.userId === b.terms.userId &&
  refundedAmount(a) === refundedAmount(b)

type ContradictingField = 'currency' | 'user_id' | 'refunded_amount'

/** The fields in which an event contradicts the known payment; `refunded_amount` when refunds exceed its amount. */
export function contradictions(
  before: PaymentState | undefined,
  event: PaymentEvent,
  after: PaymentState,
): ContradictingField[] {
  const fields: ContradictingField[] = []
  if (before !== undefined && before.terms.currency !== event.currency) fields.push('currency')
  if (before !== undefined && before.terms.userId !== event.user_id) fields.push('user_id')
  if (refundsInExcess(after) > (before === undefined ? 0n : refundsInExcess(before))) {
    fields.push('refunded_amount')
  }
  return fields
}

/** By how much refunds exceed the payment's amount; 0 while only refunds are known. */
function refundsInExcess(state: PaymentState): bigint {
  if (state.terms.status === 'refunded') return 0n
  const excess = refundedAmount(state) - BigInt(state.terms.amount)
  return excess > 0n ? excess : 0n
}

export interface Verdict {
  outcome: 'applied' | 'superseded' | 'ignored'
  reason: string | null
}

/** What an event did to the payment as known when it arrived. The reason explains what the outcome does not show. */
export function judgeEvent(known: PaymentState | undefined, event: PaymentEvent): Verdict {
  const { outcome, reason } = compareWithKnown(known, event)
  const conflicts = contradictions(known, event, foldEvent(known, event)).map(
    (field) => contradictionTexts[field],
  )
  const sentences = [...(reason === null ? [] : [reason]), ...conflicts]
  return { outcome, reason: sentences.length === 0 ? null : sentences.join(' ') }
}

const contradictionTexts: Record<ContradictingField, string> = {
  currency: "Its currency is not the payment's.",
  user_id: "Its user is not the payment's.",
  refunded_amount: "Refunds are above the payment's amount.",
}

function compareWithKnown(known: PaymentState | undefined, event: PaymentEvent): Verdict {
  const terms = termsOf(event)
  if (known === undefined || compareRanks(terms, known.deciding) > 0) {
    return { outcome: 'applied', reason: null }
  }
  const { status, timestamp } = known.deciding
  if (terms.status === 'refunded') return { outcome: 'applied', reason: 'A later refund was known.' }
  const setsTerms =
    compareTerms(terms, known.terms) > 0 ? ' Amount, currency and user are taken from it.' : ''
  return terms.timestamp > timestamp
    ? { outcome: 'ignored', reason: `The payment is ${status}, which this cannot undo.${setsTerms}` }
    : { outcome: 'superseded', reason: `Not newer than the known payment.${status}.${setsTerms}` }
}
