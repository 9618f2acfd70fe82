// The payment's state right after an event, stored in the event's row without field names, to save space.
import type { ExternalPayment, ExternalPaymentStatus } from '@sluice/contracts'
import { refundedAmount } from './fold.ts'
import type { PaymentEntry } from './store.ts'

type Packed = [
  status: ExternalPaymentStatus,
  amount: number,
  currency: string,
  userId: string,
  refundedAmount: number,
  timestamp: number,
  createdAtMs: number,
  updatedAtMs: number,
]

export function packSnapshot({ state, createdAtMs, updatedAtMs }: PaymentEntry): string {
  const { deciding, terms } = state
  const { amount, currency, userId } = terms
  const refunded = Number(refundedAmount(state))
  const packed: Packed = [
    deciding.status,
    amount,
    currency,
    userId,
    refunded,
    deciding.timestamp,
    createdAtMs,
    updatedAtMs,
  ]
  return JSON.stringify(packed)
}

/** The payment as the wire showed it right after the event: from its row's payment, ordinal and snapshot. */
export function unpackSnapshot(paymentId: string, ordinal: number, snapshot: string): ExternalPayment {
  const packed = JSON.parse(snapshot) as Packed
  const [status, amount, currency, userId, refunded, timestamp, createdAtMs, updatedAtMs] = packed
  return {
    payment_id: paymentId,
    status,
    event: `payment.${status}`,
    amount,
    currency,
    user_id: userId,
    refunded_amount: refunded,
    timestamp,
    created_at: new Date(createdAtMs).toISOString(),
    updated_at: new Date(updatedAtMs).toISOString(),
    events_count: ordinal,
  }
}
