// Concurrent commits of payment events on a real database, by the recorders of several processes.
import { externalPaymentStatuses } from '@sluice/contracts'
import {
  createDatabase,
  findViolatedInvariants,
  paymentEventBody,
  seededRandom,
  shuffled,
  type TestDatabase,
} from '@sluice/testing'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { type Database, openDatabase } from '../platform/database.ts'
import { createMetrics } from '../platform/metrics.ts'
import type { Queueing } from '../platform/queue.ts'
import { createPaymentEventRecorder } from './record.ts'
import { unpackSnapshot } from './snapshot.ts'

const log = pino({ level: 'silent' })
const metrics = createMetrics()
const queueing = { isReadyForFew: () => false } as Partial<Queueing> as Queueing
const RECORDERS = 4
/** A busy machine takes its time. */
const patient = { statementTimeoutMs: 5000, connectTimeoutMs: 5000 }
let database: TestDatabase
let databases: Database[]
beforeEach(async () => {
  database = await createDatabase(inject('postgresUrl'))
  databases = Array.from({ length: RECORDERS }, () =>
    openDatabase({ url: database.url, applicationName: 'test', log, ...patient }),
  )
})
afterEach(async () => {
  await Promise.all(databases.map((db) => db.close()))
  await database.drop()
})

const recorders = () =>
  databases.map((db) => createPaymentEventRecorder({ db, queueing, metrics, log, deadlineMs: 20_000 }))
const event = (eventId: string, paymentId: string, fields: Parameters<typeof paymentEventBody>[2] = {}) => {
  const body = paymentEventBody(eventId, paymentId, fields)
  return { ...body, payload: Buffer.from(JSON.stringify(body)), requestId: String(Math.random()) }
}
const random = seededRandom('recorded payment events')

test('processes that share new events and payments neither deadlock, nor lose or duplicate an event', async () => {
  const all = recorders()
  const rounds = 20
  for (let round = 0; round < rounds; round++) {
    const events = Array.from({ length: 75 }, (_, n) =>
      event(`${round}_${n}`, `${round}_${n % 10}`, {
        event: `payment.${externalPaymentStatuses[n % 4]!}`,
        timestamp: (n * 31) % 97,
      }),
    )
    const outcomes = await Promise.all(
      all.flatMap(({ record }) =>
        shuffled(events, random).map((event) => record({ ...event, requestId: 'r' })),
      ),
    )
    expect(outcomes.filter(({ outcome }) => outcome === 'accepted')).toHaveLength(75)
    expect(outcomes.filter(({ outcome }) => outcome === 'duplicate')).toHaveLength(225)
  }
  expect(await findViolatedInvariants(database.url)).toEqual([])
  const [row] = await database.query<{ deliveries: number }>(
    'SELECT sum(deliveries)::int AS deliveries FROM payment_events',
  )
  expect(row).toEqual({ deliveries: rounds * 300 })
})

test('updated_at never goes back, although commits lock a payment in another order than they began', async () => {
  await database.query(`
    CREATE FUNCTION refuse_going_back() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF new.updated_at < old.updated_at
         OR (new.updated_at = old.updated_at) <> (
           (new.status, new.timestamp, new.amount, new.currency, new.user_id, new.refunded_amount)
           = (old.status, old.timestamp, old.amount, old.currency, old.user_id, old.refunded_amount))
      THEN RAISE 'updated_at went wrong'; END IF;
      RETURN new;
    END $$`)
  await database.query(
    'CREATE TRIGGER going_back BEFORE UPDATE ON external_payments FOR EACH ROW EXECUTE FUNCTION refuse_going_back()',
  )
  const all = recorders()
  const events = Array.from({ length: 400 }, (_, n) =>
    event(`u${n}`, `u${n % 3}`, { event: 'payment.pending', timestamp: Math.floor(random() * 1000) }),
  )
  const atOnce = 100
  for (let done = 0; done < events.length; done += atOnce) {
    const some = events.slice(done, done + atOnce)
    await Promise.all(some.map((event, n) => all[n % RECORDERS]!.record(event)))
  }
  const updates = await database.query('SELECT sum(events_count)::int AS events FROM external_payments')
  expect(updates).toEqual([{ events: 400 }])
})

test('events of one commit count one after the other: each has its ordinal, snapshot and status change', async () => {
  const [{ record }] = recorders() as [ReturnType<typeof createPaymentEventRecorder>]
  const statuses = ['pending', 'failed', 'pending', 'completed', 'failed', 'refunded', 'refunded'] as const
  await Promise.all(
    statuses.map((status, n) =>
      record(event(`s${n}`, 'p', { event: `payment.${status}`, amount: 5, timestamp: n })),
    ),
  )
  const rows = await database.query<{
    ordinal: number
    status_changed: boolean
    snapshot: string
    xmin: string
  }>(
    `SELECT ordinal, status_changed, payment_snapshot AS snapshot, xmin::text FROM payment_events ORDER BY ordinal`,
  )
  expect(new Set(rows.map(({ xmin }) => xmin)).size).toBeLessThan(3) // they did share commits
  expect(rows.map(({ ordinal, status_changed }) => [ordinal, status_changed])).toEqual([
    [1, true],
    [2, true],
    [3, true],
    [4, true],
    [5, false],
    [6, true],
    [7, false],
  ])
  const snapshots = rows.map(({ ordinal, snapshot }) => unpackSnapshot('p', ordinal, snapshot))
  // A receiver that sorts by updated_at ends with the last one.
  const changed = snapshots.filter(({ refunded_amount, status }, i) => {
    const before = snapshots[i - 1]
    return before?.status !== status || before.refunded_amount !== refunded_amount
  })
  expect(new Set(changed.map(({ updated_at }) => updated_at)).size).toBe(changed.length)
  expect(changed).toEqual(changed.toSorted((a, b) => (a.updated_at < b.updated_at ? -1 : 1)))
  expect(snapshots).toMatchObject([
    { status: 'pending', refunded_amount: 0, events_count: 1 },
    { status: 'failed', refunded_amount: 0, events_count: 2 },
    { status: 'pending', refunded_amount: 0, events_count: 3 },
    { status: 'completed', refunded_amount: 0, events_count: 4 },
    { status: 'completed', refunded_amount: 0, events_count: 5 },
    { status: 'refunded', refunded_amount: 5, events_count: 6 },
    { status: 'refunded', refunded_amount: 10, events_count: 7 },
  ])
})

test('an event that only the database refuses does not fail the other events of its commit', async () => {
  await database.query(`ALTER TABLE payment_events ADD CHECK (user_id <> 'refused')`)
  const [{ record }] = recorders() as [ReturnType<typeof createPaymentEventRecorder>]
  const outcomes = await Promise.allSettled([
    record(event('a', 'p1')),
    record(event('b', 'p1', { user_id: 'refused' })),
    record(event('c', 'p2')),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(await findViolatedInvariants(database.url)).toEqual([])
})

test('contradictions are stored in the commit that finds them, at most 20 for a payment', async () => {
  const [{ record }] = recorders() as [ReturnType<typeof createPaymentEventRecorder>]
  await record(event('first', 'p', { amount: 1 }))
  await Promise.all(
    Array.from({ length: 50 }, (_, n) =>
      record(event(`c${n}`, 'p', { event: 'payment.failed', currency: 'EUR' })),
    ),
  )
  const [row] = await database.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM conflicts WHERE kind = 'payment' AND id = 'p' AND fields = '{currency}'`,
  )
  expect(row).toEqual({ count: 20 })
  expect(await findViolatedInvariants(database.url)).toEqual([])
})
