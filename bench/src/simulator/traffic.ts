// What a processor sends: transactions at a rate, in bursts, late and out of order, again, and now and then contradicting itself.
import { randomFields, type TransactionBody, transactionId } from '../transactions.ts'

export type TrafficOptions = {
  /** New transactions a second, on average. */
  rate: number
  durationSeconds: number
  /** Share of transactions that are delivered again, 0…1. */
  duplicates: number
  /** Share of transactions of which a changed copy follows, 0…1. */
  conflicts: number
  /** Transactions of each burst, on top of the rate; 0 for none. */
  burst: number
}

export type Delivery = { atMs: number; kind: 'first' | 'redelivery' | 'conflict'; body: TransactionBody }

const BURST_EVERY_MS = 10_000
const BURST_WITHIN_MS = 100
const LATE_SHARE = 0.1
const LATE_UP_TO_MS = 5000
const REDELIVERIES_MAX = 3
const REDELIVERY_AFTER_MEAN_MS = 1500
// A processor's own retry can overtake its first attempt: these two leave together.
const AT_ONCE_SHARE = 0.25

/** All deliveries of a simulation, in the order in which they are sent. */
export function planTraffic(
  options: TrafficOptions,
  run: string,
  random: () => number = Math.random,
): Delivery[] {
  const deliveries = eventTimes(options, random).flatMap((happenedMs, sequence) => {
    const lateMs = random() < LATE_SHARE ? random() * LATE_UP_TO_MS : 0
    const body = { transaction_id: transactionId(run, sequence), ...randomFields(random) }
    return deliveriesOf(body, happenedMs + lateMs, options, random)
  })
  return deliveries.sort((a, b) => a.atMs - b.atMs)
}

/** When transactions happen: a Poisson process at the rate, and every ten seconds a burst. */
function eventTimes({ rate, durationSeconds, burst }: TrafficOptions, random: () => number): number[] {
  const endMs = durationSeconds * 1000
  const times: number[] = []
  for (let at = exponential(1000 / rate, random); at < endMs; at += exponential(1000 / rate, random))
    times.push(at)
  for (let at = Math.min(BURST_EVERY_MS, endMs) / 2; at < endMs; at += BURST_EVERY_MS) {
    for (let i = 0; i < burst; i++) times.push(at + random() * BURST_WITHIN_MS)
  }
  return times
}

function deliveriesOf(
  body: TransactionBody,
  firstMs: number,
  { duplicates, conflicts }: TrafficOptions,
  random: () => number,
): Delivery[] {
  const again = () => firstMs + (random() < AT_ONCE_SHARE ? 0 : exponential(REDELIVERY_AFTER_MEAN_MS, random))
  const deliveries: Delivery[] = [{ atMs: firstMs, kind: 'first', body }]
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
