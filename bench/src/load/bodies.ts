// What the closed loop posts: which bodies, by their number.
import { loadedEvent, type PaymentLoad, paymentLoads } from '../payment-events.ts'
import { randomFields, transactionId } from '../transactions.ts'

export type BodyKind = 'transactions' | PaymentLoad

export function bodiesOf(kind: BodyKind, run: string): (sequence: number) => object {
  const load = paymentLoads.find((candidate) => candidate === kind)
  return load === undefined
    ? (sequence) => ({ transaction_id: transactionId(run, sequence), ...randomFields() })
    : (sequence) => loadedEvent(load, run, sequence)
}
