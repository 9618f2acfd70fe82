// The port to a bank: what the payment verbs ask of one, simulated or real.
import type { ScenarioName } from '@sluice/contracts'

/** What became of a charge or a refund. A refusal is an answer; a bank out of reach is an exception. */
export type BankAnswer = (
  | { outcome: 'success' }
  | {
      outcome: 'failed'
      /** In upper case, such as `PAYMENT_FAILED`; stored and shown to the merchant. */
      errorCode: string
      /** A sentence for the payer or the merchant. */
      errorDescription: string
    }
) & {
  /** How long the bank takes to settle. */
  settlesInMs: number
}

export interface ChargeRequest {
  paymentId: string
  method: 'upi' | 'card'
  /** What the magic value scripted, in place of the card or VPA itself; null for an ordinary one. */
  scenario: ScenarioName | null
  /** In the currency's smallest units. */
  amount: number
  currency: string
}

export interface RefundRequest {
  refundId: string
  paymentId: string
  /** The payment's. */
  scenario: ScenarioName | null
  /** In the currency's smallest units; at most the payment's. */
  amount: number
  currency: string
}

/**
 * A bank. The answer is stored before anything follows from it; after a crash in between it is asked again
 * with the same id. So a bank that moves money takes `paymentId` and `refundId` for its idempotency keys and
 * answers the second time as it did the first. Neither call waits until the money has settled: the answer
 * says how long that takes, and the caller comes back then, with no job or connection held meanwhile.
 */
export interface PaymentProcessor {
  /** Takes the amount from the payer. Rejects when the bank can't be reached, and is then tried again. */
  charge(request: ChargeRequest): Promise<BankAnswer>
  /** Gives the amount, or a part of it, back to the payer. Rejects as `charge` does. */
  refund(request: RefundRequest): Promise<BankAnswer>
}
