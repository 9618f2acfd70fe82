// The requests of each kind of load, by number: body, own headers, and the status that acknowledges them.
import { paymentHeaders, paymentRequest } from '../gateway-payments.ts'
import { loadedEvent, type PaymentLoad } from '../payment-events.ts'
import { randomFields, transactionId } from '../transactions.ts'
import { merchantKeys } from '../webhook-load.ts'

export type BodyKind = 'transactions' | PaymentLoad | 'gateway payments' | 'webhook tests'

export type Requests = {
  acknowledgedBy: 200 | 201 | 202
  bodyOf(sequence: number): object
  /** Beside the headers that all requests of a plan have. */
  headersOf?(sequence: number): Record<string, string>
}

/** How many merchants ask for tests of their webhooks, in turns. */
export const WEBHOOK_TESTERS = 7

export function requestsOf(kind: BodyKind, run: string): Requests {
  switch (kind) {
    case 'gateway payments':
      return {
        acknowledgedBy: 201,
        bodyOf: (sequence) => paymentRequest(run, sequence),
        headersOf: (sequence) => paymentHeaders(run, sequence),
      }
    case 'webhook tests':
      return {
        acknowledgedBy: 200,
        bodyOf: () => ({}),
        headersOf: (sequence) => merchantKeys(sequence % WEBHOOK_TESTERS),
      }
    case 'transactions':
      return {
        acknowledgedBy: 202,
        bodyOf: (sequence) => ({ transaction_id: transactionId(run, sequence), ...randomFields() }),
      }
    default:
      return { acknowledgedBy: 202, bodyOf: (sequence) => loadedEvent(kind, run, sequence) }
  }
}
