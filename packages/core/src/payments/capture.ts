// Capturing a successful payment: once, in full, and before its first refund.
import type { Database } from '../platform/database.ts'
import { badRequest, SluiceError } from '../platform/errors.ts'
import { type KeyedRequest, type KeyedResponse, keyClaimOf, once } from '../platform/idempotency.ts'
import { lockPayment, paymentOnTheWire } from './payment.ts'
import { movePayment, paymentMoves } from './payment-status.ts'

export interface CaptureCommand {
  merchantId: string
  paymentId: string
  amount: number
  requestId: string
  /** When the request has an Idempotency-Key. */
  keyed: KeyedRequest | undefined
}

/** Responds 200 with the payment. @throws NOT_FOUND_ERROR, BAD_REQUEST_ERROR, and what `once` throws */
export async function capturePayment(
  { db }: { db: Database },
  { merchantId, paymentId, amount, requestId, keyed }: CaptureCommand,
): Promise<KeyedResponse> {
  const claim = keyClaimOf(keyed, { merchantId, body: { amount } })
  return once(db, claim, async (tx) => {
    const payment = await lockPayment(tx, merchantId, paymentId)
    const isCapturable = paymentMoves.captured.from.some((status) => status === payment.status)
    if (!isCapturable) throw notCapturable('NOT_SUCCESSFUL')
    if (payment.captured) throw notCapturable('ALREADY_CAPTURED')
    if (payment.refundedAmount !== 0) throw notCapturable('ALREADY_REFUNDED')
    if (amount !== payment.amount) {
      throw badRequest({
        field: 'amount',
        description: `amount must be ${payment.amount}, the payment's whole amount`,
      })
    }
    const captured = await movePayment(tx, 'captured', { id: paymentId, cause: 'merchant', requestId })
    if (captured === undefined) throw new Error('a payment that was locked as capturable could not be moved')
    return { status: 200, body: JSON.stringify(paymentOnTheWire(captured)) }
  })
}

const notCapturable = (reason: string) =>
  new SluiceError('BAD_REQUEST_ERROR', 'Payment not in capturable state', { reason })
