// The delivery loop on a real database and a real receiver, where the database is slow in its answers, or very full.
import { createDatabase, startReceiver, type TestDatabase, type TestReceiver, waitFor } from '@sluice/testing'
import { verify } from '@sluice/webhooks'
import pg from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { type Database, openDatabase, type Statement } from '../platform/database.ts'
import { createMetrics } from '../platform/metrics.ts'
import { claimAttempts, findDue, recordAttempts, releaseAttempts } from './attempts.ts'
import { createDeliveries } from './deliver.ts'
import { retryWebhook } from './endpoint.ts'
import { createOutbound } from './outbound-http.ts'
import { generateWebhookSecret } from './signature.ts'

const MERCHANT = '11111111-1111-4111-8111-111111111111'
const log = pino({ level: 'silent' })
const enqueuer = { willEnqueue: () => false, enqueue: () => {}, drain: async () => {} }
const allWished = [false, true].map((isRetry) => ({ merchantId: MERCHANT, isRetry, count: 100 }))

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
  receiver.trust('shop', secret)
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

/** Deliveries that are due, as if published. */
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

/** A loop whose claims are answered by the database as this lets them. */
function startLoop(onClaim: (claim: () => Promise<unknown>) => Promise<unknown>): void {
  const batch = (statement: Statement) => {
    const run = () => db.batch(statement)
    return statement.name === 'claim-webhook-attempts' ? onClaim(run) : run()
  }
  const deliveries = createDeliveries({
    db: { ...db, batch: batch as Database['batch'] },
    outbound: createOutbound({ allowPrivate: true }),
    metrics: createMetrics(),
    log,
    testIntervals: true,
  })
  stops.push(deliveries.stop)
  deliveries.start()
}

/** Locks the merchants for so long; answers once they are locked. */
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
  waitFor('all to be delivered', async () => {
    const [row] = await database.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM webhook_logs WHERE status = 'success' AND id = ANY($1::uuid[])`,
      [ids],
    )
    return row!.count === ids.length
  })

/** Whether the answer comes too late for the attempts to be made within their lease. */
const late = async <T>(answer: T): Promise<T> => {
  await new Promise((resolve) => setTimeout(resolve, 2100))
  return answer
}

test('claims whose answer comes too late are given back at once, and each delivery is sent once, as its first attempt', async () => {
  const ids = await addDue(5)
  let claims = 0
  startLoop(async (claim) => {
    const answer = await claim()
    claims += 1
    return claims <= 2 ? late(answer) : answer
  })
  const startedAt = performance.now()
  await allSucceeded(ids)
  // Two late answers and no lease of nine seconds.
  expect(performance.now() - startedAt).toBeLessThan(9000)
  for (const id of ids) {
    expect(receiver.posts.get(id)).toHaveLength(1)
    expect(await rowOf(id)).toMatchObject({ attempts: 1, number: 1 })
  }
})

test('an attempt that is held up before it is sent is not sent when its lease could end before it does', async () => {
  await database.query('UPDATE merchants SET webhook_secret = NULL')
  const [id] = await addDue(1)
  let claims = 0
  // Its merchant's row, which is where a first secret is kept, is held by somebody else once it is claimed.
  startLoop(async (claim) => {
    const answer = await claim()
    claims += 1
    if (claims === 1) await holdMerchants(2500)
    return answer
  })
  await allSucceeded([id!])
  expect(receiver.posts.get(id!)).toHaveLength(1)
  expect(await rowOf(id!)).toMatchObject({ attempts: 1, number: 1 })
})

describe('a manual retry', () => {
  const expireLease = (id: string) =>
    database.query(`UPDATE webhook_logs SET claimed_until = now() - interval '1 second' WHERE id = $1`, [id])

  test('during an attempt that dies with its worker takes effect with the next one, and only then', async () => {
    const [id] = await addDue(1)
    await claimAttempts(db, allWished)
    await retryWebhook({ db, webhooks: enqueuer }, MERCHANT, id!)
    expect(await rowOf(id!)).toMatchObject({ wanted: true, claimed: true })
    await expireLease(id!)
    const [attempt] = await claimAttempts(db, allWished)
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

  test('after a lease ran out is not undone by what that attempt records in the end', async () => {
    const [id] = await addDue(1)
    await database.query('UPDATE webhook_logs SET attempts = 4, attempt_number = 4')
    const [attempt] = await claimAttempts(db, allWished)
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
    const attempts = await claimAttempts(db, allWished)
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

test('what is given back too late, when somebody else has it, is left to them', async () => {
  const [id] = await addDue(1)
  const mine = await claimAttempts(db, allWished)
  await database.query(`UPDATE webhook_logs SET claimed_until = now() - interval '1 second'`)
  await claimAttempts(db, allWished)
  await releaseAttempts(db, mine)
  expect(await rowOf(id!)).toMatchObject({ number: 2, claimed: true })
})

test('looking for what is due reads a row of the index for each endpoint, however much is due', async () => {
  await addDue(20_000)
  await database.query('ANALYZE webhook_logs')
  expect(await findDue(db)).toEqual([{ merchantId: MERCHANT, isRetry: false, wasSilent: false }])
  let text = ''
  const asked: Database['batch'] = (statement) => {
    text = statement.text
    return db.batch(statement)
  }
  await findDue({ ...db, batch: asked })
  const plan = await database.query<{ 'QUERY PLAN': Array<{ Plan: Plan }> }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
  )
  // A handful for each of two kinds; the whole backlog it was, when the planner made a join of it.
  expect(rowsRead(plan[0]!['QUERY PLAN'][0]!.Plan)).toBeLessThan(100)
})

test('what an endpoint was silent to is known to workers that never tried it', async () => {
  const [silent] = await addDue(2)
  await database.query(
    `UPDATE webhook_logs SET attempts = 1, attempt_number = 1, error = 'timeout' WHERE id = $1`,
    [silent],
  )
  expect(await findDue(db)).toEqual([
    { merchantId: MERCHANT, isRetry: false, wasSilent: true },
    { merchantId: MERCHANT, isRetry: true, wasSilent: true },
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

/** Of tables, discarded ones included. */
const rowsRead = (plan: Plan): number =>
  (plan['Relation Name'] === undefined
    ? 0
    : (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops']) +
  (plan.Plans ?? []).reduce((sum, inner) => sum + rowsRead(inner), 0)
