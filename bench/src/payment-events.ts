// Payment events of the three measured loads, each a function of the run and a number, so that the ledger can repeat it.
import type { ExternalPaymentStatus, PaymentEventRequest } from '@sluice/contracts'
import { runId, scramble } from './ids.ts'

export const paymentLoads = ['new payments', 'ten payments', 'lifecycles'] as const
export type PaymentLoad = (typeof paymentLoads)[number]

const FIRST_TIMESTAMP = 1_710_000_000
const HOT_PAYMENTS = 10
/** Above the sum of refunds that a run can make of one payment, one minor unit at a time. */
const AMOUNT_LEAST = 1_000_000
const CURRENCIES = ['INR', 'USD', 'INR', 'EUR', 'INR', 'JPY', 'USD', 'KWD']

/** The event of that number. Only in `lifecycles` two numbers can have the same event: a duplicate. */
export function loadedEvent(load: PaymentLoad, run: string, sequence: number): PaymentEventRequest {
  if (load === 'new payments')
    return event(run, sequence, sequence, 0, FIRST_STATUSES[sequence % FIRST_STATUSES.length]!)
  if (load === 'ten payments') {
    const turn = Math.floor(sequence / HOT_PAYMENTS)
    return event(run, sequence, sequence % HOT_PAYMENTS, turn, MIXED[turn % MIXED.length]!)
  }
  const number = withoutDuplicates(sequence)
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
  // The same for all events of a payment: another currency or user would be a contradiction.
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

const FIRST_STATUSES: readonly ExternalPaymentStatus[] = ['pending', 'completed', 'pending', 'failed']
const MIXED: readonly ExternalPaymentStatus[] = ['pending', 'failed', 'completed', 'refunded']

// Twenty kinds of payments: most succeed with two events of it, some need a second try, some are refunded.
const LIFECYCLES: readonly (readonly ExternalPaymentStatus[])[] = [
  ...Array.from({ length: 16 }, () => ['pending', 'completed', 'completed'] as const),
  ['pending', 'failed', 'completed'],
  ['pending', 'failed', 'failed'],
  ['pending', 'completed', 'refunded'],
  ['pending', 'completed', 'refunded'],
]
const STAGES = 3
const STAGE_SECONDS = 60
/** This many payments are in progress at once: the events of one are neither neighbours nor far apart. */
const PAYMENTS_AT_ONCE = 500

function lifecycleStage(number: number): { payment: number; stage: number } {
  const block = Math.floor(number / (STAGES * PAYMENTS_AT_ONCE))
  const within = number % (STAGES * PAYMENTS_AT_ONCE)
  return {
    payment: block * PAYMENTS_AT_ONCE + (within % PAYMENTS_AT_ONCE),
    stage: Math.floor(within / PAYMENTS_AT_ONCE),
  }
}

// 2 % duplicates: in turns of the event just sent, which the duplicate may overtake, and of an old one.
const DUPLICATE_EVERY = 50
const LONG_AGO = 1000

function withoutDuplicates(sequence: number): number {
  const duplicatesBefore = Math.floor(sequence / DUPLICATE_EVERY)
  const number = sequence - duplicatesBefore
  if (sequence % DUPLICATE_EVERY !== DUPLICATE_EVERY - 1) return number
  return Math.max(0, number - 1 - (duplicatesBefore % 2) * LONG_AGO)
}
