// Cleanup tasks on a real database: expired rows and old webhook attempts, in bounded batches.
import { createDatabase, type TestDatabase } from '@sluice/testing'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { type Database, openDatabase } from '../platform/database.ts'
import { runCleanupTasks } from '../platform/housekeeping.ts'
import { allCleanupTasks } from '../work.ts'

const log = pino({ level: 'silent' })
/** A busy machine takes its time. */
const patient = { statementTimeoutMs: 5000, connectTimeoutMs: 5000 }
let database: TestDatabase
let db: Database
beforeEach(async () => {
  database = await createDatabase(inject('postgresUrl'))
  db = openDatabase({ url: database.url, applicationName: 'test', log, ...patient })
})
afterEach(async () => {
  await db.close()
  await database.drop()
})

const kinds = [
  {
    name: 'expired sessions',
    key: 'token_hash',
    table: 'sessions',
    add: (key: string, expiresIn: string) =>
      database.query(
        `INSERT INTO sessions (token_hash, merchant_id, created_at, expires_at)
         SELECT $1, id, now() - interval '1 day', now() + $2::interval FROM merchants`,
        [key, expiresIn],
      ),
  },
  {
    name: 'expired idempotency keys',
    key: 'key',
    table: 'idempotency_keys',
    add: (key: string, expiresIn: string) =>
      database.query(
        `INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, status, response, expires_at)
         SELECT id, 'order_x', $1, 'f', 201, '{}', now() + $2::interval FROM merchants`,
        [key, expiresIn],
      ),
  },
  {
    name: 'old webhook secrets',
    key: 'secret',
    table: 'previous_webhook_secrets',
    add: (key: string, expiresIn: string) =>
      database.query(
        `INSERT INTO previous_webhook_secrets (merchant_id, secret, expires_at)
         SELECT id, $1, now() + $2::interval FROM merchants`,
        [key, expiresIn],
      ),
  },
]

test.each(kinds)('$name are removed, current ones stay', async ({ add, key, table }) => {
  for (let n = 0; n < 3; n++) await add(`old${n}`, '-1 millisecond')
  await add('new', '1 minute')
  await runCleanupTasks({ db, log }, allCleanupTasks(undefined))
  expect(await database.query(`SELECT ${key} AS key FROM ${table}`)).toEqual([{ key: 'new' }])
})

test.each(kinds)(
  '$name are removed in batches, without waiting for locked rows',
  async ({ name, add, key, table }) => {
    for (let n = 0; n < 6; n++) await add(`old${n}`, '-1 minute')
    const task = allCleanupTasks(undefined).find((candidate) => candidate.name === name)
    const holder = await database.session()
    try {
      await holder.query('BEGIN')
      await holder.query(`SELECT 1 FROM ${table} WHERE ${key} = 'old3' FOR UPDATE`)
      expect(await task?.run(db, 2)).toBe(2)
      expect(await task?.run(db, 2)).toBe(2)
      expect(await task?.run(db, 2)).toBe(1)
      expect(await task?.run(db, 2)).toBe(0)
    } finally {
      await holder.end()
    }
    expect(await database.query(`SELECT ${key} AS key FROM ${table}`)).toEqual([{ key: 'old3' }])
  },
)

/** A webhook with one attempt some days ago; settled or not. */
async function addWebhook(event: string, daysAgo: number, settled: boolean): Promise<void> {
  await database.query(
    `WITH published AS (
       INSERT INTO webhook_logs (merchant_id, event, payload, attempts, attempt_number, status, settled_at, next_retry_at)
       SELECT m.id, $1, '{}', 1, 1, status, settled_at, due FROM merchants m JOIN (
         VALUES (true, 'failed', now(), NULL), (false, 'pending', NULL, now())) AS state(is_over, status, settled_at, due)
         ON is_over = $3 RETURNING id)
     INSERT INTO webhook_attempts (delivery_id, number, at, duration_ms, response_code, response_body)
     SELECT id, 1, now() - $2::float8 * interval '1 day', 5, 500, 'no' FROM published`,
    [event, daysAgo, settled],
  )
}
const attempted = () =>
  database.query('SELECT event FROM webhook_attempts JOIN webhook_logs ON id = delivery_id ORDER BY event')

test('old attempts of settled webhooks are removed; the webhooks and all other attempts stay', async () => {
  await addWebhook('over', 7.01, true)
  await addWebhook('recent', 6.99, true)
  await addWebhook('still tried', 30, false)
  const before = await database.query('SELECT * FROM webhook_logs ORDER BY event')
  await runCleanupTasks({ db, log }, allCleanupTasks(undefined))
  expect(await attempted()).toHaveLength(3)
  await runCleanupTasks({ db, log }, allCleanupTasks(7))
  expect(await attempted()).toEqual([{ event: 'recent' }, { event: 'still tried' }])
  expect(await database.query('SELECT * FROM webhook_logs ORDER BY event')).toEqual(before)
})

test('old attempts are removed in batches', async () => {
  for (let n = 0; n < 5; n++) await addWebhook(`over ${n}`, 8, true)
  const task = allCleanupTasks(7).find(({ name }) => name === 'old webhook attempts')
  expect([await task?.run(db, 2), await task?.run(db, 2), await task?.run(db, 2)]).toEqual([2, 2, 1])
})

test('a failed task is logged and does not stop the next one', async () => {
  const lines: Array<{ task: string; msg: string }> = []
  const recording = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  await kinds[0]!.add('old', '-1 minute')
  const broken = {
    name: 'broken',
    run: async () => {
      throw new Error('no')
    },
  }
  await runCleanupTasks({ db, log: recording }, [broken, ...allCleanupTasks(undefined), broken])
  expect(await database.query('SELECT * FROM sessions')).toEqual([])
  expect(lines.map(({ task, msg }) => [task, msg])).toEqual([
    ['broken', 'the cleanup task failed; it will run again'],
    ['expired sessions', 'the cleanup task changed rows'],
    ['broken', 'the cleanup task failed; it will run again'],
  ])
})
