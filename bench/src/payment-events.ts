// Payment events of the three loads that are measured. Each is a function of the run and a number, so that whoever
// checks the database afterwards knows what was sent without having been told.
import type { ExternalPaymentStatus, PaymentEventRequest } from '@sluice/contracts'
import { runId, scramble } from './ids.ts'

export const paymentLoads = ['new payments', 'ten payments', 'lifecycles'] as const
export type PaymentLoad = (typeof paymentLoads)[number]

const FIRST_TIMESTAMP = 1_710_000_000
const HOT_PAYMENTS = 10
/** Above what a run can refund of one payment by one minor unit at a time. */
const AMOUNT_LEAST = 1_000_000
const CURRENCIES = ['INR', 'USD', 'INR', 'EUR', 'INR', 'JPY', 'USD', 'KWD']

/** What the delivery of that number says. Only in `lifecycles` do two numbers have the same event: a redelivery. */
export function loadedEvent(load: PaymentLoad, run: string, sequence: number): PaymentEventRequest {
  if (load === 'new payments') return event(run, sequence, sequence, 0, NEWS[sequence % NEWS.length]!)
  if (load === 'ten payments') {
    const turn = Math.floor(sequence / HOT_PAYMENTS)
    return event(run, sequence, sequence % HOT_PAYMENTS, turn, MIXED[turn % MIXED.length]!)
  }
  const number = withoutRedeliveries(sequence)
  const { payment, stage } = lifecycleStage(number)
  return event(run, number, payment, stage * STAGE_SECONDS, LIFECYCLES[payment % LIFECYCLES.length]![stage]!)
}

function event(
  run: string,
  number: number,
  payment: number,
  afterSeconds: number,
  status: ExternalPaymentStatus,
): PaymentEventRequest {
  // A payment's own, whatever its event: another currency or user would be a contradiction.
  const kind = scramble(payment)
  return {
    event_id: runId('evt_', run, number),
    payment_id: runId('pay_', run, payment),
    event: `payment.${status}`,
    amount: status === 'refunded' ? 1 : AMOUNT_LEAST + (kind % 500_000),
    currency: CURRENCIES[kind % CURRENCIES.length]!,
    user_id: `user_${(kind % 90_000) + 10_000}`,
    timestamp: FIRST_TIMESTAMP + afterSeconds,
  }
}

const NEWS: readonly ExternalPaymentStatus[] = ['pending', 'completed', 'pending', 'failed']
const MIXED: readonly ExternalPaymentStatus[] = ['pending', 'failed', 'completed', 'refunded']

// Twenty kinds of payments: most succeed and are told so twice, some need a second try, some are refunded.
const LIFECYCLES: readonly (readonly ExternalPaymentStatus[])[] = [
  ...Array.from({ length: 16 }, () => ['pending', 'completed', 'completed'] as const),
  ['pending', 'failed', 'completed'],
  ['pending', 'failed', 'failed'],
  ['pending', 'completed', 'refunded'],
  ['pending', 'completed', 'refunded'],
]
const STAGES = 3
const STAGE_SECONDS = 60
/** So many payments are under way at once: the events of one are neither neighbours nor far apart. */
const PAYMENTS_AT_ONCE = 500

function lifecycleStage(number: number): { payment: number; stage: number } {
  const block = Math.floor(number / (STAGES * PAYMENTS_AT_ONCE))
  const within = number % (STAGES * PAYMENTS_AT_ONCE)
  return {
    payment: block * PAYMENTS_AT_ONCE + (within % PAYMENTS_AT_ONCE),
    stage: Math.floor(within / PAYMENTS_AT_ONCE),
  }
}

// 2 % redeliveries, in turns of the event just sent, which may overtake it, and of one that has long been answered.
const REDELIVERY_EVERY = 50
const LONG_AGO = 1000

function withoutRedeliveries(sequence: number): number {
  const redeliveriesBefore = Math.floor(sequence / REDELIVERY_EVERY)
  const number = sequence - redeliveriesBefore
  if (sequence % REDELIVERY_EVERY !== REDELIVERY_EVERY - 1) return number
  return Math.max(0, number - 1 - (redeliveriesBefore % 2) * LONG_AGO)
}
