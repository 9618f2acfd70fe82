// A second implementation of an external payment's state by its events, which judges Sluice's own.
import type { ExternalPayment, ExternalPaymentStatus, PaymentEventRequest } from '@sluice/contracts'

export type ExpectedPayment = Omit<ExternalPayment, 'payment_id' | 'created_at' | 'updated_at'>
export type ModelEvent = Omit<PaymentEventRequest, 'payment_id'>

/** The payment that follows from its distinct events: at least one, in any order. */
export function expectedPayment(events: readonly ModelEvent[]): ExpectedPayment {
  const decides = greatest(events)
  const refunds = events.filter(({ event }) => event === 'payment.refunded')
  const others = events.filter(({ event }) => event !== 'payment.refunded')
  const { amount, currency, user_id } = greatest(others.length > 0 ? others : refunds)
  return {
    status: decides.event.replace('payment.', '') as ExternalPaymentStatus,
    event: decides.event,
    amount,
    currency,
    user_id,
    refunded_amount: refunds
      .filter((refund) => refund.currency === currency)
      .reduce((sum, refund) => sum + refund.amount, 0),
    timestamp: decides.timestamp,
    events_count: events.length,
  }
}

/** The fields of a payment that differ from the expected ones. */
export function differences(payment: ExpectedPayment, expected: ExpectedPayment): string[] {
  return (Object.keys(expected) as (keyof ExpectedPayment)[])
    .filter((field) => payment[field] !== expected[field])
    .map((field) => `${field} is ${payment[field]}, not ${expected[field]}`)
}

/** Settled payments first, then the later time, then failed before pending, then the id's bytes. */
function greatest(events: readonly ModelEvent[]): ModelEvent {
  return events.reduce((best, event) => {
    const order =
      level(event) - level(best) ||
      event.timestamp - best.timestamp ||
      Number(event.event === 'payment.failed') - Number(best.event === 'payment.failed') ||
      Buffer.from(event.event_id).compare(Buffer.from(best.event_id))
    return order > 0 ? event : best
  })
}

const level = ({ event }: ModelEvent) => ['payment.completed', 'payment.refunded'].indexOf(event)
