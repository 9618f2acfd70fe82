// The traffic of a processor: events at a rate and in bursts, late, out of order, duplicated and contradicted.
import { randomFields, type TransactionBody, transactionId } from '../transactions.ts'

export type TrafficOptions = {
  /** New transactions, or payments, a second, on average; 0 for none. */
  rate: number
  durationSeconds: number
  /** Share of events that are sent again, 0…1. */
  duplicates: number
  /** Share of events that a changed copy follows, 0…1. */
  conflicts: number
  /** New ones of each burst, on top of the rate; 0 for none. */
  burst: number
}

/** One request of a plan. A conflict has the id of an earlier event and another amount. */
export type PlannedRequest<B extends { amount: number }> = {
  atMs: number
  kind: 'first' | 'duplicate' | 'conflict'
  body: B
}

const BURST_EVERY_MS = 10_000
const BURST_WITHIN_MS = 100
const LATE_SHARE = 0.1
const LATE_UP_TO_MS = 5000
const DUPLICATES_MAX = 3
const DUPLICATE_AFTER_MEAN_MS = 1500
// A processor's retry can overtake its first attempt: this share leaves together with it.
const AT_ONCE_SHARE = 0.25

/** All requests of transactions in a simulation, in sending order. */
export function planTransactions(
  options: TrafficOptions,
  run: string,
  random: () => number = Math.random,
): PlannedRequest<TransactionBody>[] {
  const requests = startTimes(options, random).flatMap((happenedMs, sequence) => {
    const body = { transaction_id: transactionId(run, sequence), ...randomFields(random) }
    return requestsFor(body, happenedMs, options, random)
  })
  return inOrder(requests)
}

export const inOrder = <R extends { atMs: number }>(requests: R[]) => requests.sort((a, b) => a.atMs - b.atMs)

/** When transactions occur, or payments begin: a Poisson process at the rate, and every ten seconds a burst. */
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

/** All requests for one event: on time or late, with or without duplicates and a conflict. */
export function requestsFor<B extends { amount: number }>(
  body: B,
  happenedMs: number,
  { duplicates, conflicts }: TrafficOptions,
  random: () => number,
): PlannedRequest<B>[] {
  const firstMs = happenedMs + (random() < LATE_SHARE ? random() * LATE_UP_TO_MS : 0)
  const again = () => firstMs + (random() < AT_ONCE_SHARE ? 0 : exponential(DUPLICATE_AFTER_MEAN_MS, random))
  const requests: PlannedRequest<B>[] = [{ atMs: firstMs, kind: 'first', body }]
  if (random() < duplicates) {
    const copies = 1 + Math.floor(random() * DUPLICATES_MAX)
    for (let i = 0; i < copies; i++) requests.push({ atMs: again(), kind: 'duplicate', body })
  }
  if (random() < conflicts) {
    requests.push({ atMs: again() + 1, kind: 'conflict', body: { ...body, amount: body.amount + 1 } })
  }
  return requests
}

const exponential = (mean: number, random: () => number) => -mean * Math.log(1 - random())
