// What is posted, by its number: bodies, headers of their own, and the status of those that are taken.
import { paymentHeaders, paymentRequest } from '../gateway-payments.ts'
import { loadedEvent, type PaymentLoad, paymentLoads } from '../payment-events.ts'
import { randomFields, transactionId } from '../transactions.ts'

export type BodyKind = 'transactions' | PaymentLoad | 'gateway payments'

export type Requests = {
  /** How the route answers what it takes. */
  acknowledgedBy: 201 | 202
  bodyOf(sequence: number): object
  /** Beside those that all requests of a plan have. */
  headersOf?(sequence: number): Record<string, string>
}

export function requestsOf(kind: BodyKind, run: string): Requests {
  if (kind === 'gateway payments') {
    return {
      acknowledgedBy: 201,
      bodyOf: (sequence) => paymentRequest(run, sequence),
      headersOf: (sequence) => paymentHeaders(run, sequence),
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
