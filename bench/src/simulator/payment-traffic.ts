// The traffic of a payment processor: events of payments that complete, fail, are retried and are refunded.
import { currencyDecimals, type ExternalPaymentStatus, type PaymentEventRequest } from '@sluice/contracts'
import { runId } from '../ids.ts'
import { randomFields } from '../transactions.ts'
import { inOrder, type PlannedRequest, requestsFor, startTimes, type TrafficOptions } from './traffic.ts'

const COMPLETED_SHARE = 0.75
/** Share of failures after which the payer tries again. */
const RETRY_SHARE = 0.6
const TRIES_MAX = 3
const REFUNDED_SHARE = 0.2
const REFUNDS_MAX = 2
// Shorter than the delay of a late request, so that events overtake each other.
const STEP_LEAST_MS = 300
const STEP_MOST_MS = 3000
/** Share of payments whose events are all sent at once, to race each other. */
const AT_ONCE_SHARE = 0.1

/** All requests of payment events in a simulation, in sending order. The rate is that of payments. */
export function planPaymentEvents(
  options: TrafficOptions,
  run: string,
  random: () => number = Math.random,
  nowMs = Date.now(),
): PlannedRequest<PaymentEventRequest>[] {
  let events = 0
  const requests = startTimes(options, random).flatMap((startMs, payment) => {
    const { payment_id, amount, currency, user_id } = newPayment(run, payment, random)
    const stepMs = random() < AT_ONCE_SHARE ? () => 0 : () => between(STEP_LEAST_MS, STEP_MOST_MS, random)
    let happenedMs = startMs
    return lifecycle(random).flatMap((status) => {
      const body: PaymentEventRequest = {
        event_id: runId('evt_', run, events++),
        payment_id,
        event: `payment.${status}`,
        amount: status === 'refunded' ? Math.floor(amount / REFUNDS_MAX) : amount,
        currency,
        user_id,
        timestamp: Math.floor((nowMs + happenedMs) / 1000),
      }
      const own = requestsFor(body, happenedMs, options, random)
      happenedMs += stepMs()
      return own
    })
  })
  return inOrder(requests)
}

function newPayment(run: string, sequence: number, random: () => number) {
  const { amount, currency, source_account } = randomFields(random)
  return {
    payment_id: runId('pay_', run, sequence),
    amount: Math.round(amount * 10 ** (currencyDecimals(currency) ?? 2)),
    currency,
    user_id: source_account.replace('acc_', ''),
  }
}

/** A payment's statuses, in order. */
function lifecycle(random: () => number): ExternalPaymentStatus[] {
  const statuses: ExternalPaymentStatus[] = []
  for (let tries = 1; ; tries++) {
    statuses.push('pending')
    if (random() < COMPLETED_SHARE) break
    statuses.push('failed')
    if (tries === TRIES_MAX || random() >= RETRY_SHARE) return statuses
  }
  const refunds = random() < REFUNDED_SHARE ? 1 + Math.floor(random() * REFUNDS_MAX) : 0
  return [...statuses, 'completed', ...Array.from({ length: refunds }, () => 'refunded' as const)]
}

const between = (least: number, most: number, random: () => number) => least + random() * (most - least)
