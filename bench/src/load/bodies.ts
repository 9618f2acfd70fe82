// What is posted, by its number: bodies, headers of their own, and the status of those that are taken.
import { paymentHeaders, paymentRequest } from '../gateway-payments.ts'
import { loadedEvent, type PaymentLoad, paymentLoads } from '../payment-events.ts'
import { randomFields, transactionId } from '../transactions.ts'
import { merchantKeys } from '../webhook-load.ts'

export type BodyKind = 'transactions' | PaymentLoad | 'gateway payments' | 'webhook tests'

export type Requests = {
  /** How the route answers what it takes. */
  acknowledgedBy: 200 | 201 | 202
  bodyOf(sequence: number): object
  /** Beside those that all requests of a plan have. */
  headersOf?(sequence: number): Record<string, string>
}

/** The merchants who ask for tests of their webhooks, in turns. */
export const WEBHOOK_TESTERS = 7

export function requestsOf(kind: BodyKind, run: string): Requests {
  if (kind === 'gateway payments') {
    return {
      acknowledgedBy: 201,
      bodyOf: (sequence) => paymentRequest(run, sequence),
      headersOf: (sequence) => paymentHeaders(run, sequence),
    }
  }
  if (kind === 'webhook tests') {
    return {
      acknowledgedBy: 200,
      bodyOf: () => ({}),
      headersOf: (sequence) => merchantKeys(sequence % WEBHOOK_TESTERS),
    }
  }
  const load = paymentLoads.find((candidate) => candidate === kind)
  return {
    acknowledgedBy: 202,
    bodyOf:
      load === undefined
        ? (sequence) => ({ transaction_id: transactionId(run, sequence), ...randomFields() })
        : (sequence) => loadedEvent(load, run, sequence),
  }
}
