// What a processor sends: events at a rate, in bursts, late and out of order, again, and now and then contradicting itself.
import { randomFields, type TransactionBody, transactionId } from '../transactions.ts'

export type TrafficOptions = {
  /** New transactions, or payments, a second, on average; 0 for none. */
  rate: number
  durationSeconds: number
  /** Share of what is sent that is delivered again, 0…1. */
  duplicates: number
  /** Share of what is sent of which a changed copy follows, 0…1. */
  conflicts: number
  /** New ones of each burst, on top of the rate; 0 for none. */
  burst: number
}

/** What is sent, apart from what it is about; a contradiction says another amount. */
export type Delivery<B extends { amount: number }> = {
  atMs: number
  kind: 'first' | 'redelivery' | 'conflict'
  body: B
}

const BURST_EVERY_MS = 10_000
const BURST_WITHIN_MS = 100
const LATE_SHARE = 0.1
const LATE_UP_TO_MS = 5000
const REDELIVERIES_MAX = 3
const REDELIVERY_AFTER_MEAN_MS = 1500
// A processor's own retry can overtake its first attempt: these two leave together.
const AT_ONCE_SHARE = 0.25

/** All deliveries of transactions in a simulation, in the order in which they are sent. */
export function planTransactions(
  options: TrafficOptions,
  run: string,
  random: () => number = Math.random,
): Delivery<TransactionBody>[] {
  const deliveries = startTimes(options, random).flatMap((happenedMs, sequence) => {
    const body = { transaction_id: transactionId(run, sequence), ...randomFields(random) }
    return deliveriesOf(body, happenedMs, options, random)
  })
  return inOrder(deliveries)
}

export const inOrder = <D extends { atMs: number }>(deliveries: D[]) =>
  deliveries.sort((a, b) => a.atMs - b.atMs)

/** When transactions happen, or payments begin: a Poisson process at the rate, and every ten seconds a burst. */
export function startTimes({ rate, durationSeconds, burst }: TrafficOptions, random: () => number): number[] {
  if (rate === 0) return []
  const endMs = durationSeconds * 1000
  const times: number[] = []
  for (let at = exponential(1000 / rate, random); at < endMs; at += exponential(1000 / rate, random))
    times.push(at)
  for (let at = Math.min(BURST_EVERY_MS, endMs) / 2; at < endMs; at += BURST_EVERY_MS) {
    for (let i = 0; i < burst; i++) times.push(at + random() * BURST_WITHIN_MS)
  }
  return times
}

/** Everything that is delivered of one body: on time or late, and perhaps again. */
export function deliveriesOf<B extends { amount: number }>(
  body: B,
  happenedMs: number,
  { duplicates, conflicts }: TrafficOptions,
  random: () => number,
): Delivery<B>[] {
  const firstMs = happenedMs + (random() < LATE_SHARE ? random() * LATE_UP_TO_MS : 0)
  const again = () => firstMs + (random() < AT_ONCE_SHARE ? 0 : exponential(REDELIVERY_AFTER_MEAN_MS, random))
  const deliveries: Delivery<B>[] = [{ atMs: firstMs, kind: 'first', body }]
  if (random() < duplicates) {
    const copies = 1 + Math.floor(random() * REDELIVERIES_MAX)
    for (let i = 0; i < copies; i++) deliveries.push({ atMs: again(), kind: 'redelivery', body })
  }
  if (random() < conflicts) {
    deliveries.push({ atMs: again() + 1, kind: 'conflict', body: { ...body, amount: body.amount + 1 } })
  }
  return deliveries
}

const exponential = (mean: number, random: () => number) => -mean * Math.log(1 - random())
