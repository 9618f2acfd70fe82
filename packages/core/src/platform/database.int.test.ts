// Migrations, the constraints that they carry, housekeeping and group commits on a real database.
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { createDatabase, seededRandom, shuffled, type TestDatabase } from '@sluice/testing'
import fc from 'fast-check'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { createTransactionHandler } from '../transactions/process.ts'
import { createTransactionRecorder } from '../transactions/record.ts'
import { allCleanupTasks } from '../work.ts'
import { type Database, openDatabase } from './database.ts'
import { runCleanupTasks } from './housekeeping.ts'
import { createMetrics } from './metrics.ts'
import type { Queueing } from './queue.ts'
import { textArray } from './text-array.ts'

const repository = path.resolve(import.meta.dirname, '../../../..')
const run = (file: string, args: string[], env: Record<string, string>) =>
  promisify(execFile)(file, args, {
    cwd: repository,
    env: { PATH: process.env.PATH, CHECKPOINT_DISABLE: '1', ...env },
  })

const log = pino({ level: 'silent' })
const metrics = createMetrics()
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

test('schema.prisma describes the schema that the migrations create', async () => {
  const args = [
    'migrate',
    'diff',
    '--from-migrations',
    'prisma/migrations',
    '--to-schema',
    'prisma/schema.prisma',
  ]
  await run('node_modules/.bin/prisma', [...args, '--exit-code'], { DATABASE_URL: database.url })
})

test('migrating is idempotent, by several processes at once, and known to prisma migrate', async () => {
  await database.query('DROP SCHEMA public CASCADE')
  await database.query('CREATE SCHEMA public')
  const migrate = () =>
    run(process.execPath, ['packages/core/dist/migrate.js'], { DATABASE_URL: database.url })
  const outputs = await Promise.all([migrate(), migrate(), migrate()])
  expect(outputs.filter(({ stdout }) => stdout.includes('Applied 1_transactions'))).toHaveLength(1)
  const { stdout } = await run('node_modules/.bin/prisma', ['migrate', 'status'], {
    DATABASE_URL: database.url,
  })
  expect(stdout).toContain('Database schema is up to date!')
})

const insertInto = (table: string, row: Record<string, string>) =>
  database.query(`INSERT INTO ${table} (${Object.keys(row).join()}) VALUES (${Object.values(row).join()})`)

const insert = (fields: Record<string, string>) =>
  insertInto('transactions', {
    transaction_id: `'t'`,
    source_account: `'a'`,
    destination_account: `'b'`,
    amount: '1',
    currency: `'INR'`,
    request_id: `'r'`,
    due_at: 'now()',
    ...fields,
  })

const insertEvent = (fields: Record<string, string>) =>
  insertInto('payment_events', {
    event_id: `'e'`,
    payment_id: `'p'`,
    ordinal: '1',
    status: `'pending'`,
    amount: '1',
    currency: `'INR'`,
    user_id: `'u'`,
    timestamp: '1',
    request_id: `'r'`,
    status_changed: 'true',
    payment_snapshot: `'{}'`,
    ...fields,
  })

const insertPayment = (fields: Record<string, string>) =>
  insertInto('external_payments', {
    payment_id: `'p'`,
    status: `'pending'`,
    event_id: `'e'`,
    timestamp: '1',
    amount: '1',
    currency: `'INR'`,
    user_id: `'u'`,
    terms_status: `'pending'`,
    terms_event_id: `'e'`,
    terms_timestamp: '1',
    events_count: '1',
    created_at: 'now()',
    updated_at: 'now()',
    ...fields,
  })

test.each([
  ['a negative amount', { amount: '-1' }],
  ['no amount', { amount: '0' }],
  ['too large an amount', { amount: '999999999999.5' }],
  ['an end before its time', { due_at: `now() + interval '1 s'`, processed_at: 'now()' }],
  ['a time before its creation', { due_at: `now() - interval '1 s'` }],
])('the database refuses %s', async (_name, fields) => {
  await expect(insert(fields as Record<string, string>)).rejects.toMatchObject({ code: '23514' })
})

test.each([
  ['a status that there is not', { status: `'paid'` }],
  ['an amount below zero', { amount: '-1' }],
  ['an amount beyond the limit', { amount: '1000000000000' }],
  ['refunds without the status', { refunded_amount: '1' }],
  ['refunds below zero', { status: `'refunded'`, refunded_amount: '-1' }],
  ['a refund’s terms for what is not refunded', { terms_status: `'refunded'` }],
  ['a payment without events', { events_count: '0' }],
  ['a change before its creation', { updated_at: `now() - interval '1 s'` }],
])('the database refuses a payment with %s', async (_name, fields) => {
  await expect(insertPayment(fields as Record<string, string>)).rejects.toMatchObject({ code: '23514' })
})

test.each([
  ['a status that there is not', { status: `'created'` }, '23514'],
  ['an amount below zero', { amount: '-1' }, '23514'],
  ['a time beyond the limit', { timestamp: '4102444801' }, '23514'],
  ['the id of another', {}, '23505'],
  ['the place of another', { event_id: `'e2'` }, '23505'],
])('the database refuses an event with %s', async (_name, fields, code) => {
  await insertEvent({})
  await expect(insertEvent(fields as Record<string, string>)).rejects.toMatchObject({ code })
})

test('a lock and its writes commit together or not at all, and the first error is reported', async () => {
  const write = (id: string) => ({
    text: `INSERT INTO worker_heartbeats (worker_id, hostname, pid) VALUES ($1, 'h', 1)`,
    values: [id],
  })
  const lock = { text: 'SELECT 7', values: [] }
  await db.lockThenWrite(lock, (rows) => {
    expect(rows).toEqual([[7]])
    return [write('a'), write('b')]
  })
  await expect(db.lockThenWrite(lock, () => [write('c'), write('a'), write('d')])).rejects.toMatchObject({
    code: '23505',
    constraint: 'worker_heartbeats_pkey',
  })
  await expect(
    db.lockThenWrite(lock, () => {
      throw new Error('undecided')
    }),
  ).rejects.toThrow('undecided')
  await expect(
    db.lockThenWrite({ text: 'SELECT 1/0', values: [] }, () => [write('e')]),
  ).rejects.toMatchObject({
    code: '22012',
  })
  // More than there are connections: each one must have been returned in a usable state.
  await Promise.all(Array.from({ length: 20 }, (_, n) => db.lockThenWrite(lock, () => [write(`f${n}`)])))
  const rows = await database.query<{ worker_id: string }>('SELECT worker_id FROM worker_heartbeats')
  expect(
    rows
      .map(({ worker_id }) => worker_id[0])
      .sort()
      .join(''),
  ).toBe(`ab${'f'.repeat(20)}`)
})

test('effects that wait for a commit do not run when it fails', async () => {
  const effects: string[] = []
  await expect(
    db.atomically(async (_tx, afterCommit) => {
      afterCommit(() => effects.push('ran'))
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  await db.atomically(async (_tx, afterCommit) => afterCommit(() => effects.push('done')))
  expect(effects).toEqual(['done'])
})

test('housekeeping removes dead heartbeats and old payloads, and nothing else', async () => {
  await insert({
    transaction_id: `'old'`,
    payload: `'{}'`,
    created_at: `now() - interval '9 days'`,
    processed_at: 'now()',
  })
  await insert({ transaction_id: `'open'`, payload: `'{}'`, created_at: `now() - interval '9 days'` })
  await insert({ transaction_id: `'new'`, payload: `'{}'`, processed_at: 'now()' })
  const nineDaysAgo = `now() - interval '9 days'`
  const raw = { payload: `'{}'` }
  await insertEvent({ ...raw, event_id: `'done'`, received_at: nineDaysAgo, followed_up_at: 'now()' })
  await insertEvent({ ...raw, event_id: `'left'`, received_at: nineDaysAgo, ordinal: '2' })
  await database.query(`INSERT INTO worker_heartbeats (worker_id, hostname, pid, beat_at)
    VALUES ('dead', 'h', 1, now() - interval '2 hours'), ('live', 'h', 2, now())`)
  await runCleanupTasks({ db, log }, allCleanupTasks(7))
  const rows = await database.query<{ transaction_id: string; payload: string | null }>(
    'SELECT transaction_id, payload FROM transactions ORDER BY 1',
  )
  expect(rows).toEqual([
    { transaction_id: 'new', payload: '{}' },
    { transaction_id: 'old', payload: null },
    { transaction_id: 'open', payload: '{}' },
  ])
  expect(await database.query('SELECT event_id, payload FROM payment_events ORDER BY 1')).toEqual([
    { event_id: 'done', payload: null },
    { event_id: 'left', payload: '{}' },
  ])
  expect(await database.query('SELECT worker_id FROM worker_heartbeats')).toEqual([{ worker_id: 'live' }])
})

test('texts pass through the binary array unchanged', async () => {
  const text = fc
    .string({ unit: 'binary', maxLength: 40 })
    .filter((value) => !/[\0\ud800-\udfff]/u.test(value))
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 20 }), async (texts) => {
      const asStrings = textArray(texts, (value) => value)
      const asBuffers = textArray(texts, (value) => Buffer.from(value))
      const { rows } = await db.batch({
        text: 'SELECT unnest($1::text[]), unnest($2::text[])',
        values: [asStrings, asBuffers],
      })
      expect(rows).toEqual(texts.map((value) => [value, value]))
    }),
  )
})

const noQueue = { isReadyForFew: () => false } as Partial<Queueing> as Queueing
const noWebhooks = { willEnqueue: () => false, enqueue: () => {}, drain: async () => {} }
const event = (transaction_id: string) => ({
  transaction_id,
  source_account: 'a',
  destination_account: 'b',
  amount: 1,
  currency: 'INR',
  payload: Buffer.from('{}'),
  requestId: String(Math.random()),
})

test('batches of several processes with shared ids in any order neither deadlock nor lose an event', async () => {
  const recorders = Array.from({ length: 4 }, () =>
    createTransactionRecorder({
      db,
      queueing: noQueue,
      metrics,
      log,
      deadlineMs: 20_000,
      processingDelayMs: 0,
    }),
  )
  const ids = Array.from({ length: 100 }, (_, n) => `txn_${n}`)
  const random = seededRandom('batches')
  for (let round = 0; round < 20; round++) {
    const outcomes = await Promise.all(
      recorders.flatMap(({ record }) => shuffled(ids, random).map((id) => record(event(`${round}_${id}`)))),
    )
    expect(outcomes.filter((outcome) => outcome === 'accepted')).toHaveLength(100)
    expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(300)
  }
})

test('a row that only the database refuses does not fail the other rows of its batch', async () => {
  await database.query(`ALTER TABLE transactions ADD CHECK (source_account <> 'refused')`)
  const { record } = createTransactionRecorder({
    db,
    queueing: noQueue,
    metrics,
    log,
    deadlineMs: 20_000,
    processingDelayMs: 0,
  })
  const outcomes = await Promise.allSettled([
    record(event('a')),
    record({ ...event('b'), source_account: 'refused' }),
    record(event('c')),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('a transaction with many jobs is completed once, and not before its due time', async () => {
  const { record } = createTransactionRecorder({
    db,
    queueing: noQueue,
    metrics,
    log,
    deadlineMs: 20_000,
    processingDelayMs: 0,
  })
  const later = createTransactionRecorder({
    db,
    queueing: noQueue,
    metrics,
    log,
    deadlineMs: 20_000,
    processingDelayMs: 60_000,
  })
  await Promise.all([record(event('due')), later.record(event('not_due'))])
  const complete = createTransactionHandler({ db, metrics, log, webhooks: noWebhooks })
  expect(await Promise.all(Array.from({ length: 20 }, () => complete('due')))).toEqual(
    Array(20).fill(undefined),
  )
  const [row] = await database.query<{ processed_at: Date }>(
    `SELECT processed_at FROM transactions WHERE transaction_id = 'due'`,
  )
  await complete('due')
  await complete('unknown')
  expect(await database.query(`SELECT processed_at FROM transactions WHERE transaction_id = 'due'`)).toEqual([
    row,
  ])
  const outcome = await complete('not_due')
  expect(outcome?.snoozeMs).toBeGreaterThan(50_000)
  expect(outcome?.snoozeMs).toBeLessThanOrEqual(60_000)
})
