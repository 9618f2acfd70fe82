// The delivery loop on a real database and receiver, with a slow or a very full database.
import { createDatabase, startReceiver, type TestDatabase, type TestReceiver, waitFor } from '@sluice/testing'
import { verify } from '@sluice/webhooks'
import pg from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { generateWebhookSecret } from '../merchants/index.ts'
import { type Database, openDatabase, type Statement } from '../platform/database.ts'
import { createMetrics } from '../platform/metrics.ts'
import { leaseAttempts, releaseAttempts } from './attempt-leases.ts'
import { createDeliveryLoop } from './delivery-loop.ts'
import { findDueEndpoints } from './due-endpoints.ts'
import { createOutbound } from './outbound-http.ts'
import { recordAttempts } from './record-attempts.ts'
import { retryWebhook } from './replay.ts'

const MERCHANT = '11111111-1111-4111-8111-111111111111'
const log = pino({ level: 'silent' })
const enqueuer = { willEnqueue: () => false, enqueue: () => {}, drain: async () => {} }
const allQuotas = [false, true].map((isRetry) => ({ merchantId: MERCHANT, isRetry, count: 100 }))

let database: TestDatabase
let db: Database
let receiver: TestReceiver
const stops: Array<() => unknown> = []
beforeEach(async () => {
  database = await createDatabase(inject('postgresUrl'))
  const patient = { statementTimeoutMs: 30_000, connectTimeoutMs: 5000 }
  db = openDatabase({ url: database.url, applicationName: 'test', log, ...patient })
  receiver = await startReceiver({ verify })
  const secret = generateWebhookSecret()
  receiver.setSecret('shop', secret)
  await database.query(
    `INSERT INTO merchants (id, name, email, api_key, api_secret, webhook_url, webhook_secret)
     VALUES ($1, 'Shop', 'shop@example.com', 'key_shop', 'secret_shop', $2, $3)`,
    [MERCHANT, receiver.url('shop'), secret],
  )
})
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
  await receiver.close()
  await db.close()
  await database.drop()
})

/** Adds deliveries that are due, as if published. */
const addDue = async (count: number): Promise<string[]> => {
  const rows = await database.query<{ id: string }>(
    `INSERT INTO webhook_logs (merchant_id, event, payload, request_id)
     SELECT $1, 'payment.success', '{"event":"payment.success","timestamp":1705315870,"data":{}}', 'x'
     FROM generate_series(1, $2::int) RETURNING id`,
    [MERCHANT, count],
  )
  return rows.map(({ id }) => id)
}

const rowOf = async (id: string) => {
  const [row] = await database.query(
    `SELECT status, attempts, attempt_number AS number, claimed_until IS NOT NULL AS claimed, retry_wanted AS wanted,
       next_retry_at <= now() AS due FROM webhook_logs WHERE id = $1`,
    [id],
  )
  return row
}

/** Starts a loop whose lease statements run through `onLease`. */
function startLoop(onLease: (lease: () => Promise<unknown>) => Promise<unknown>): void {
  const batch = (statement: Statement) => {
    const run = () => db.batch(statement)
    return statement.name === 'lease-webhook-attempts' ? onLease(run) : run()
  }
  const loop = createDeliveryLoop({
    db: { ...db, batch: batch as Database['batch'] },
    outbound: createOutbound({ allowPrivate: true }),
    metrics: createMetrics(),
    log,
    testIntervals: true,
  })
  stops.push(loop.stop)
  loop.start()
}

/** Locks the merchants for so long; resolves once they are locked. */
async function holdMerchants(ms: number): Promise<void> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query('BEGIN; SELECT FROM merchants FOR UPDATE')
  const timer = setTimeout(() => client.query('COMMIT'), ms)
  stops.push(() => {
    clearTimeout(timer)
    return client.end()
  })
}

const allSucceeded = (ids: readonly string[]) =>
  waitFor('all deliveries to succeed', async () => {
    const [row] = await database.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM webhook_logs WHERE status = 'success' AND id = ANY($1::uuid[])`,
      [ids],
    )
    return row!.count === ids.length
  })

/** Delays a lease's result until it is too old to send under. */
const late = async <T>(result: T): Promise<T> => {
  await new Promise((resolve) => setTimeout(resolve, 2100))
  return result
}

test('leases that come too late are given back at once, and each delivery is sent once, as its first attempt', async () => {
  const ids = await addDue(5)
  let leases = 0
  startLoop(async (lease) => {
    const result = await lease()
    leases += 1
    return leases <= 2 ? late(result) : result
  })
  const startedAt = performance.now()
  await allSucceeded(ids)
  // Two late results, but no wait for a lease of nine seconds to end.
  expect(performance.now() - startedAt).toBeLessThan(9000)
  for (const id of ids) {
    expect(receiver.posts.get(id)).toHaveLength(1)
    expect(await rowOf(id)).toMatchObject({ attempts: 1, number: 1 })
  }
})

test('an attempt that is delayed before its POST is not sent when its lease could end during it', async () => {
  await database.query('UPDATE merchants SET webhook_secret = NULL')
  const [id] = await addDue(1)
  let leases = 0
  // Signing needs the merchant's row for a first secret; another transaction locks it after the lease.
  startLoop(async (lease) => {
    const result = await lease()
    leases += 1
    if (leases === 1) await holdMerchants(2500)
    return result
  })
  await allSucceeded([id!])
  expect(receiver.posts.get(id!)).toHaveLength(1)
  expect(await rowOf(id!)).toMatchObject({ attempts: 1, number: 1 })
})

describe('a manual retry', () => {
  const expireLease = (id: string) =>
    database.query(`UPDATE webhook_logs SET claimed_until = now() - interval '1 second' WHERE id = $1`, [id])

  test('during an attempt that dies with its worker takes effect with the next attempt only', async () => {
    const [id] = await addDue(1)
    await leaseAttempts(db, allQuotas)
    await retryWebhook({ db, webhooks: enqueuer }, MERCHANT, id!)
    expect(await rowOf(id!)).toMatchObject({ wanted: true, claimed: true })
    await expireLease(id!)
    const [attempt] = await leaseAttempts(db, allQuotas)
    expect(await rowOf(id!)).toMatchObject({ wanted: false, number: 2 })
    const outcome = {
      status: 'success',
      responseCode: 200,
      error: null,
      responseBody: '',
      retryAfterMs: undefined,
    } as const
    const made = { at: new Date(), durationMs: 1, outcome }
    await recordAttempts(db, [{ attempt: attempt!, made, nextInMs: undefined }])
    expect(await rowOf(id!)).toMatchObject({ status: 'success', attempts: 1 })
  })

  test('after a lease has ended is not undone by the late record of that attempt', async () => {
    const [id] = await addDue(1)
    await database.query('UPDATE webhook_logs SET attempts = 4, attempt_number = 4')
    const [attempt] = await leaseAttempts(db, allQuotas)
    await expireLease(id!)
    await retryWebhook({ db, webhooks: enqueuer }, MERCHANT, id!)
    const outcome = {
      status: 'failed',
      responseCode: 500,
      error: null,
      responseBody: '',
      retryAfterMs: undefined,
    } as const
    const made = { at: new Date(), durationMs: 1, outcome }
    await recordAttempts(db, [{ attempt: attempt!, made, nextInMs: undefined }])
    expect(await rowOf(id!)).toEqual({
      status: 'pending',
      attempts: 0,
      number: 5,
      claimed: false,
      wanted: false,
      due: true,
    })
    expect(await database.query('SELECT number, response_code FROM webhook_attempts')).toEqual([
      { number: 5, response_code: 500 },
    ])
  })

  test('during an attempt that is given back takes effect at once', async () => {
    const [id] = await addDue(1)
    await database.query('UPDATE webhook_logs SET attempts = 3, attempt_number = 3')
    const attempts = await leaseAttempts(db, allQuotas)
    await retryWebhook({ db, webhooks: enqueuer }, MERCHANT, id!)
    await releaseAttempts(db, attempts)
    expect(await rowOf(id!)).toEqual({
      status: 'pending',
      attempts: 0,
      number: 3,
      claimed: false,
      wanted: false,
      due: true,
    })
  })
})

test('giving a lease back too late changes nothing when another worker has leased the delivery', async () => {
  const [id] = await addDue(1)
  const mine = await leaseAttempts(db, allQuotas)
  await database.query(`UPDATE webhook_logs SET claimed_until = now() - interval '1 second'`)
  await leaseAttempts(db, allQuotas)
  await releaseAttempts(db, mine)
  expect(await rowOf(id!)).toMatchObject({ number: 2, claimed: true })
})

test('polling reads one index row for each endpoint, for a backlog of any size', async () => {
  await addDue(20_000)
  await database.query('ANALYZE webhook_logs')
  expect(await findDueEndpoints(db)).toEqual([
    { merchantId: MERCHANT, isRetry: false, wasUnresponsive: false },
  ])
  let text = ''
  const recordText: Database['batch'] = (statement) => {
    text = statement.text
    return db.batch(statement)
  }
  await findDueEndpoints({ ...db, batch: recordText })
  const plan = await database.query<{ 'QUERY PLAN': Array<{ Plan: Plan }> }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
  )
  // A few for each of two kinds. As a join, which the planner once chose, it was the whole backlog.
  expect(rowsRead(plan[0]!['QUERY PLAN'][0]!.Plan)).toBeLessThan(100)
})

test('workers that never tried an endpoint know from its retries that it is unresponsive', async () => {
  const [unanswered] = await addDue(2)
  await database.query(
    `UPDATE webhook_logs SET attempts = 1, attempt_number = 1, error = 'timeout' WHERE id = $1`,
    [unanswered],
  )
  expect(await findDueEndpoints(db)).toEqual([
    { merchantId: MERCHANT, isRetry: false, wasUnresponsive: true },
    { merchantId: MERCHANT, isRetry: true, wasUnresponsive: true },
  ])
})

interface Plan {
  'Node Type': string
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  Plans?: Plan[]
}

/** Rows read from tables, including discarded ones. */
const rowsRead = (plan: Plan): number =>
  (plan['Relation Name'] === undefined
    ? 0
    : (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops']) +
  (plan.Plans ?? []).reduce((sum, inner) => sum + rowsRead(inner), 0)
