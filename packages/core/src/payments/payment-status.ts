// State machines of payments and refunds as tables. Each move is a guarded UPDATE that also writes the payment log.
import type { PaymentChange, PaymentStatus, Refund } from '@sluice/contracts'
import type { Tx } from '../platform/database.ts'
import { type PaymentRow, paymentColumns } from './payment.ts'
import { type RefundRow, refundColumns } from './refund.ts'

interface Move<Status extends string> {
  from: readonly Status[]
  to: Status
  /** A further condition, in SQL. */
  when?: string
  /** Further changes, in SQL; `$4` and `$5` are the error's code and description. */
  set: string
}

/** Payments with the status `created` wait for a processor's notification; the gateway's own begin as `pending`. */
export const paymentMoves = {
  success: { from: ['created', 'pending'], to: 'success', set: 'settled_at = now()' },
  failed: {
    from: ['created', 'pending'],
    to: 'failed',
    set: 'settled_at = now(), error_code = $4, error_description = $5',
  },
  captured: {
    from: ['success'],
    to: 'success',
    when: 'NOT captured AND refunded_amount = 0',
    set: 'captured = true',
  },
} as const satisfies Partial<Record<PaymentChange, Move<PaymentStatus>>>

export const refundMoves = {
  refund_processed: {
    from: ['pending'],
    to: 'processed',
    set: `settled_at = now(), processed_at = clock_timestamp()`,
  },
  refund_failed: {
    from: ['pending'],
    to: 'failed',
    set: 'settled_at = now(), error_code = $4, error_description = $5',
  },
} as const satisfies Partial<Record<PaymentChange, Move<Refund['status']>>>

/** Why a payment or a refund failed. */
export interface FailureReason {
  errorCode: string
  errorDescription: string
}

export interface MoveOptions {
  id: string
  /** The actor, for the timeline. */
  cause: string
  requestId: string
  failure?: FailureReason
}

/** Moves a payment and logs the change. Undefined, without any change, when the payment is not in a source status. */
export async function movePayment(
  tx: Tx,
  change: keyof typeof paymentMoves,
  options: MoveOptions,
): Promise<PaymentRow | undefined> {
  const move: Move<PaymentStatus> = paymentMoves[change]
  const [row] = await tx.query<PaymentRow>({
    name: `move-payment-${change}`,
    text: `
      WITH moved AS (
        UPDATE payments SET status = '${move.to}', updated_at = later_than(updated_at), ${move.set}
        WHERE id = $1 AND status IN (${listOf(move.from)}) AND ${move.when ?? 'true'}
        RETURNING *
      ), logged AS (
        INSERT INTO payment_log (payment_id, change, amount, cause, request_id)
        SELECT id, '${change}', amount, $2, $3 FROM moved
      )
      SELECT ${paymentColumns} FROM moved`,
    values: parameters(move, options),
  })
  return row
}

/** Moves a refund and logs the change with its payment. Undefined, without any change, when it is not pending. */
export async function moveRefund(
  tx: Tx,
  change: keyof typeof refundMoves,
  options: MoveOptions,
): Promise<RefundRow | undefined> {
  const move: Move<Refund['status']> = refundMoves[change]
  const [row] = await tx.query<RefundRow>({
    name: `move-${change}`,
    text: `
      WITH moved AS (
        UPDATE refunds SET status = '${move.to}', updated_at = later_than(updated_at), ${move.set}
        WHERE id = $1 AND status IN (${listOf(move.from)})
        RETURNING *
      ), logged AS (
        INSERT INTO payment_log (payment_id, change, refund_id, amount, cause, request_id)
        SELECT payment_id, '${change}', id, amount, $2, $3 FROM moved
      )
      SELECT ${refundColumns} FROM moved`,
    values: parameters(move, options),
  })
  return row
}

const listOf = (statuses: readonly string[]) => statuses.map((status) => `'${status}'`).join(', ')

const parameters = ({ to }: Move<string>, { id, cause, requestId, failure }: MoveOptions) =>
  to === 'failed'
    ? [id, cause, requestId, failure?.errorCode, failure?.errorDescription]
    : [id, cause, requestId]
