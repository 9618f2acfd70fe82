// Creating a refund: refunds of one payment lock its row in turn, and their sum stays within its amount.
import type { RefundRequest } from '@sluice/contracts'
import type { Database, Tx } from '../platform/database.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { SluiceError } from '../platform/errors.ts'
import { type KeyedRequest, type KeyedResponse, keyClaimOf, once } from '../platform/idempotency.ts'
import { insertWithNewId } from '../platform/ids.ts'
import { publish } from '../webhooks/index.ts'
import { lockPayment, readPayment } from './payment.ts'
import { type RefundRow, refundColumns, refundOnTheWire } from './refund.ts'

export interface NewRefund {
  merchantId: string
  paymentId: string
  request: RefundRequest
  requestId: string
  /** When the request has an Idempotency-Key. */
  keyed: KeyedRequest | undefined
}

/** Responds 201 with the refund. @throws NOT_FOUND_ERROR, BAD_REQUEST_ERROR, and what `once` throws */
export async function createRefund(
  { db, refunds, webhooks }: { db: Database; refunds: Enqueuer; webhooks: Enqueuer },
  { merchantId, paymentId, request, requestId, keyed }: NewRefund,
): Promise<KeyedResponse> {
  const claim = keyClaimOf(keyed, {
    merchantId,
    body: { amount: request.amount, reason: request.reason ?? null },
  })
  return once(db, claim, async (tx, afterCommit) => {
    const payment = await lockPayment(tx, merchantId, paymentId)
    if (payment.status !== 'success') {
      throw new SluiceError(
        'BAD_REQUEST_ERROR',
        `Payment not in refundable state: only successful payments can be refunded, and this one is ${payment.status}`,
      )
    }
    if (request.amount > Number(payment.amount) - Number(payment.refundedAmount)) {
      throw new SluiceError('BAD_REQUEST_ERROR', 'Refund amount exceeds available amount', {
        field: 'amount',
        reason: 'INSUFFICIENT_REFUND_AMOUNT',
      })
    }
    const { amount, reason = null } = request
    const enqueuesNow = refunds.willEnqueue()
    const row = await insertRefund(tx, { paymentId, merchantId, amount, reason, requestId, enqueuesNow })
    afterCommit(() => refunds.enqueue(row.id))
    const refund = refundOnTheWire(row)
    const data = { refund, payment: await readPayment(tx, paymentId) }
    await publish(tx, { webhooks, afterCommit }, [{ merchantId, event: 'refund.created', data, requestId }])
    return { status: 201, body: JSON.stringify(refund) }
  })
}

interface RefundInsert {
  paymentId: string
  merchantId: string
  amount: number
  reason: string | null
  requestId: string
  /** Whether the caller enqueues the row right after the commit. */
  enqueuesNow: boolean
}

const insertRefund = (tx: Tx, refund: RefundInsert): Promise<RefundRow> =>
  insertWithNewId('rfnd', async (id) => {
    const [row] = await tx.query<RefundRow>({
      name: 'insert-refund',
      text: `
        WITH created AS (
          INSERT INTO refunds (id, payment_id, merchant_id, amount, reason, request_id, enqueued_at)
          VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7::boolean THEN now() END)
          ON CONFLICT (id) DO NOTHING RETURNING *
        ), logged AS (
          INSERT INTO payment_log (payment_id, change, refund_id, amount, cause, request_id)
          SELECT payment_id, 'refund_created', id, amount, 'merchant', request_id FROM created
        )
        SELECT ${refundColumns} FROM created`,
      values: [
        id,
        refund.paymentId,
        refund.merchantId,
        refund.amount,
        refund.reason,
        refund.requestId,
        refund.enqueuesNow,
      ],
    })
    return row
  })
