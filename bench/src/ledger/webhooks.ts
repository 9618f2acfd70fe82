// The ledger of webhooks: each delivery was posted once and succeeded once, by the database and by the receivers.
import type { Sql } from '../database.ts'
import type { Arrival } from '../receivers.ts'
import { percentile } from '../stats.ts'
import { idArray } from '../webhook-load.ts'
import type { Comparison } from './ledger.ts'

/** A delivery with its attempts; times are milliseconds since 1970. */
export type Delivery = {
  id: string
  status: string
  attempts: number
  successes: number
  createdAt: number
  firstAttemptAt: number | null
  settledAt: number | null
}

export const webhookRows = { table: 'webhook_logs', due: 'next_retry_at', done: 'settled_at' }

export const ofMerchants = (merchantIds: readonly string[]) => `merchant_id = ANY (${idArray(merchantIds)})`

/** Compares the deliveries that were asked for with those on record and those that arrived. */
export function compareDeliveries(
  expected: number,
  deliveries: readonly Delivery[],
  arrivals: readonly Arrival[],
): Comparison {
  const posts = new Map<string, number>()
  for (const [id] of arrivals) posts.set(id, (posts.get(id) ?? 0) + 1)
  const known = new Set(deliveries.map(({ id }) => id))
  const fault = (what: string, isWrong: (delivery: Delivery) => boolean) => ({
    count: deliveries.filter(isWrong).length,
    what,
  })
  return {
    held: { deliveries: deliveries.length },
    faults: [
      { count: Math.abs(expected - deliveries.length), what: 'DELIVERIES TOO FEW OR TOO MANY' },
      fault('NEVER POSTED', ({ id }) => !posts.has(id)),
      fault('POSTED MORE THAN ONCE', ({ id }) => (posts.get(id) ?? 0) > 1),
      { count: [...posts.keys()].filter((id) => !known.has(id)).length, what: 'POSTED AND UNKNOWN' },
      fault('NOT SUCCEEDED', ({ status }) => status !== 'success'),
      fault('WITHOUT ONE SUCCESS ON RECORD', ({ attempts, successes }) => attempts !== 1 || successes !== 1),
    ],
  }
}

/** The database's time, at the precision of its rows. */
export async function databaseTime(sql: Sql): Promise<string> {
  const [row] = await sql('SELECT clock_timestamp()::timestamptz(3)::text AS now')
  return String(row?.now)
}

export async function readDeliveriesOf(
  sql: Sql,
  merchantIds: readonly string[],
  since: string,
): Promise<Delivery[]> {
  const rows = await sql(`
    SELECT w.id, w.status, count(a.number)::int AS attempts,
           count(a.number) FILTER (WHERE a.response_code BETWEEN 200 AND 299)::int AS successes,
           (1000 * extract(epoch FROM w.created_at))::float8 AS "createdAt",
           (1000 * extract(epoch FROM w.settled_at))::float8 AS "settledAt",
           (1000 * extract(epoch FROM min(a.at)))::float8 AS "firstAttemptAt"
    FROM webhook_logs w LEFT JOIN webhook_attempts a ON a.delivery_id = w.id
    WHERE w.created_at >= '${since}' AND w.${ofMerchants(merchantIds)} GROUP BY w.id`)
  return rows as Delivery[]
}

/** Counts of attempts by outcome: a class of errors or a status. */
export async function readOutcomes(sql: Sql, merchantId: string): Promise<Record<string, number>> {
  const rows = await sql(`
    SELECT coalesce(a.error, a.response_code::text) AS outcome, count(*)::int AS count
    FROM webhook_attempts a JOIN webhook_logs w ON w.id = a.delivery_id
    WHERE w.merchant_id = '${merchantId}' GROUP BY 1 ORDER BY 1`)
  return Object.fromEntries(rows.map(({ outcome, count }) => [String(outcome), Number(count)]))
}

/** Milliseconds. */
export type Latency = { p50: number; p95: number; p99: number; max: number }

function latencyOf(sample: number[]): Latency {
  const ascending = sample.sort((a, b) => a - b)
  const at = (fraction: number) => percentile(ascending, fraction)
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) }
}

/** From the beginning of a delivery's transaction to its first attempt, and to its arrival. */
export function latencies(
  deliveries: readonly Delivery[],
  arrivals: readonly Arrival[],
): { toAttempt: Latency; toArrival: Latency } {
  const createdAt = new Map(deliveries.map((delivery) => [delivery.id, delivery.createdAt]))
  return {
    toAttempt: latencyOf(
      deliveries.flatMap(({ createdAt, firstAttemptAt }) =>
        firstAttemptAt === null ? [] : [firstAttemptAt - createdAt],
      ),
    ),
    toArrival: latencyOf(
      arrivals.flatMap(([id, at]) => (createdAt.has(id) ? [at - createdAt.get(id)!] : [])),
    ),
  }
}

/** Deliveries by second, from the first attempt to the last record; how long the first one waited. */
export function throughput(deliveries: readonly Delivery[]): {
  perSecond: number
  seconds: number
  beginsAfterMs: number
} {
  const begins = deliveries.flatMap(({ firstAttemptAt }) => firstAttemptAt ?? [])
  const ends = deliveries.flatMap(({ settledAt }) => settledAt ?? [])
  const beginsAt = begins.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const seconds = (ends.reduce((a, b) => Math.max(a, b), 0) - beginsAt) / 1000
  const createdAt = deliveries[0]?.createdAt ?? Number.NaN
  return { perSecond: ends.length / seconds, seconds, beginsAfterMs: beginsAt - createdAt }
}

/** What endpoints that hang may cost the others: a fifth and 50 ms. */
export const isolationLimitMs = (p95Alone: number) => 1.2 * p95Alone + 50
