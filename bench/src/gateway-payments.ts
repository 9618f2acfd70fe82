// Requests for gateway payments: one for each order, whose id follows from the run and a number.
import type { PaymentRequest } from '@sluice/contracts'
import { hexDigits, hexDigitsSql } from './ids.ts'

/** An id in the gateway's format: 16 letters and digits, of which the last eight are the run. */
export const orderId = (run: string, sequence: number) => `order_${hexDigits(sequence)}${run}`
export const orderIdSql = (run: string, n: string) => `'order_' || ${hexDigitsSql(n)} || '${run}'`

/** The amount of a run's order of that number, in minor units: neighbours differ. */
export const amountSql = (n: string) => `10000 + 100 * (${n} % 977)`

// No value among them is magic: the bank decides by chance, so that a part of the payments fails.
const CARDS = ['4242424242424242', '5555555555554444', '378282246310005']
const BANKS = ['paytm', 'okhdfcbank', 'ybl']

/** By card and by UPI, in turns. */
export function paymentRequest(run: string, sequence: number): PaymentRequest {
  const order_id = orderId(run, sequence)
  if (sequence % 2 === 0)
    return { order_id, method: 'upi', vpa: `payer.${sequence}@${pick(BANKS, sequence)}` }
  const number = pick(CARDS, sequence)
  const cvv = number.length === 15 ? '1234' : '123'
  const card = { number, expiry_month: '12', expiry_year: '2099', cvv, holder_name: 'Asha Rao' }
  return { order_id, method: 'card', card }
}

const pick = (values: readonly string[], sequence: number) => values[(sequence >> 1) % values.length]!

const KEYED_EVERY = 4
const isKeyed = (sequence: number) => Math.floor(sequence / KEYED_EVERY) % KEYED_EVERY === 0

/** A quarter of the requests, of cards and of UPI alike, carry an Idempotency-Key. */
export const paymentHeaders = (run: string, sequence: number): Record<string, string> =>
  isKeyed(sequence) ? { 'idempotency-key': `bench-${hexDigits(sequence)}-${run}` } : {}

/** How many of these numbers are keyed. */
export const countKeyed = (sequences: Iterable<number>): number => {
  let count = 0
  for (const sequence of sequences) if (isKeyed(sequence)) count++
  return count
}
