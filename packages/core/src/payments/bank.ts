// The port to a bank, simulated or real.
import type { ScenarioName } from '@sluice/contracts'

/** The bank's response to a charge or a refund. A refusal is a response; an unreachable bank is an exception. */
export type BankResponse = (
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

export interface BankCharge {
  paymentId: string
  method: 'upi' | 'card'
  /** The script of a magic card or VPA; null for an ordinary one. */
  scenario: ScenarioName | null
  /** In the currency's smallest units. */
  amount: number
  currency: string
}

export interface BankRefund {
  refundId: string
  paymentId: string
  /** The scenario of its payment. */
  scenario: ScenarioName | null
  /** In the currency's smallest units; at most the payment's. */
  amount: number
  currency: string
}

/**
 * A bank. Its response is stored before it has any effect. After a crash before the store, it is asked again with the
 * same id. So an adapter to a real bank uses `paymentId` and `refundId` as idempotency keys, and a repeated call gets
 * the first response. Neither call waits for the settlement: the response has its duration, and the worker snoozes the job
 * without holding a connection.
 */
export interface Bank {
  /** Takes the amount from the payer. Rejects when the bank is unreachable; the worker then retries. */
  charge(request: BankCharge): Promise<BankResponse>
  /** Returns the amount, or a part of it, to the payer. Rejects as `charge` does. */
  refund(request: BankRefund): Promise<BankResponse>
}
