// The dispatcher on a real database: it finds rows without a job, and rows whose job was lost.
import { createDatabase, type TestDatabase } from '@sluice/testing'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { transactionWork } from '../transactions/jobs.ts'
import { type Database, openDatabase } from './database.ts'
import { createDispatcher } from './dispatcher.ts'
import type { JobEntry } from './job.ts'
import { createMetrics } from './metrics.ts'
import type { Queueing } from './queue.ts'

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

/** A queue that stores the jobs it gets; a test makes it fail or report a backlog. */
function recordingQueue({ waiting = 0, fails = false, ready = true } = {}) {
  const entries: JobEntry[] = []
  const queueing = {
    isReady: () => ready,
    counts: async () => ({ waiting, active: 0, delayed: 0 }),
    enqueue: async (_kind: unknown, batch: readonly JobEntry[]) => {
      if (fails) throw new Error('the queue is away')
      entries.push(...batch)
    },
  } as Partial<Queueing> as Queueing
  return { entries, queueing }
}

const dispatcherOn = (queueing: Queueing) =>
  createDispatcher({ db, queueing, metrics: createMetrics(), log }, [transactionWork])

/** Rows due in `fromSeconds`, then one each millisecond; enqueued `enqueuedAgoSeconds` ago, or never. */
const insertRows = (
  prefix: string,
  count: number,
  fromSeconds: number,
  enqueuedAgoSeconds: number | null = null,
) =>
  database.query(
    `INSERT INTO transactions (transaction_id, source_account, destination_account, amount, currency, request_id,
                               created_at, due_at, enqueued_at)
     SELECT $1 || n, 'a', 'b', 1, 'INR', 'r', now() - interval '1 hour',
            now() + $3::float8 * interval '1 second' + n * interval '1 millisecond', now() - $4::float8 * interval '1 second'
     FROM generate_series(1, $2::int) AS n`,
    [prefix, count, fromSeconds, enqueuedAgoSeconds],
  )

/** The database's, in ms. */
async function clock(): Promise<number> {
  const [row] = await database.query<{ ms: number }>(
    'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms',
  )
  return row!.ms
}

test('rows without a job are enqueued once, by any number of dispatchers at once', async () => {
  await insertRows('soon', 5000, 1)
  const queues = Array.from({ length: 4 }, () => recordingQueue())
  await Promise.all(queues.map(({ queueing }) => dispatcherOn(queueing).round()))
  const ids = queues.flatMap(({ entries }) => entries.map(({ id }) => id))
  expect(ids).toHaveLength(5000)
  expect(new Set(ids).size).toBe(5000)
  expect(await dispatcherOn(recordingQueue().queueing).round()).toBe(0)
})

test('rows are enqueued by due time, with the remaining delay rounded up, so that no job is early', async () => {
  await insertRows('later', 600, 8)
  await insertRows('sooner', 600, 4)
  await insertRows('overdue', 1, -5)
  const { entries, queueing } = recordingQueue()
  const before = await clock()
  await dispatcherOn(queueing).round()
  const after = await clock()
  expect(entries[0]).toEqual({ id: 'overdue1', delayMs: 0 })
  const firstLater = entries.findIndex(({ id }) => id.startsWith('later'))
  const lastBatchOfSooner = Math.max(...entries.map(({ id }, i) => (id.startsWith('sooner') ? i : -1)))
  expect(firstLater).toBeGreaterThan(500)
  expect(lastBatchOfSooner).toBeLessThan(1000)
  const rows = await database.query<{ id: string; due: number }>(
    'SELECT transaction_id AS id, extract(epoch FROM due_at)::float8 * 1000 AS due FROM transactions',
  )
  const dueOf = new Map(rows.map(({ id, due }) => [id, due]))
  const later = entries.filter(({ id }) => id.startsWith('later'))
  expect(later).toHaveLength(600)
  for (const { id, delayMs } of later) {
    expect(delayMs, id).toBeGreaterThanOrEqual(dueOf.get(id)! - after)
    expect(delayMs, id).toBeLessThanOrEqual(dueOf.get(id)! - before + 1)
  }
})

test('rows are enqueued ahead of time at a bounded rate while rows arrive, and faster when it is calm', async () => {
  await insertRows('a', 20_000, 60)
  const { entries, queueing } = recordingQueue()
  const dispatcher = dispatcherOn(queueing)
  await dispatcher.round()
  expect(entries.length).toBeLessThanOrEqual(4500)
  await insertRows('b', 10, 120) // still coming in
  const before = entries.length
  await new Promise((resolve) => setTimeout(resolve, 200))
  await dispatcher.round()
  expect(entries.length - before).toBeLessThan(2500)
  const then = entries.length
  await dispatcher.round()
  expect(entries.length - then).toBe(5000)
})

test('work that may wait gives way to a burst, for a bounded time, and to nothing else', async () => {
  const { entries, queueing } = recordingQueue()
  const patient = { ...transactionWork, givesWayForMs: 10_000 }
  const dispatcher = createDispatcher({ db, queueing, metrics: createMetrics(), log }, [patient])
  const second = () => new Promise((resolve) => setTimeout(resolve, 1000))
  const dispatched = (prefix: string) => entries.filter(({ id }) => id.startsWith(prefix)).length
  await dispatcher.round()
  await second()
  await insertRows('few', 100, -1)
  await dispatcher.round()
  expect(dispatched('few')).toBe(100)
  await second()
  await insertRows('waited', 1000, -15)
  await insertRows('burst', 3000, -1.5)
  await dispatcher.round()
  expect(dispatched('waited')).toBe(1000)
  expect(dispatched('burst')).toBeLessThan(300) // the bounded rate of what is not due soon
  await second()
  await dispatcher.round()
  expect(dispatched('burst')).toBe(3000)
})

test('a burst that begins during a round is left to the next round', async () => {
  const { entries, queueing } = recordingQueue()
  const enqueue = queueing.enqueue
  let arriving = 0
  const patient = { ...transactionWork, givesWayForMs: 10_000 }
  const deps = { db, metrics: createMetrics(), log }
  const underBurst = {
    ...queueing,
    async enqueue(...args: Parameters<typeof enqueue>) {
      await insertRows(`arriving${arriving++}_`, 2000, 0)
      await enqueue(...args)
    },
  }
  const dispatcher = createDispatcher({ ...deps, queueing: underBurst }, [patient])
  await new Promise((resolve) => setTimeout(resolve, 1000))
  await insertRows('first', 700, -1.5)
  await dispatcher.round()
  expect(entries.every(({ id }) => id.startsWith('first'))).toBe(true)
  expect(entries).toHaveLength(700)
})

test('rows whose job was lost are enqueued again, not early, and not twice in a row', async () => {
  await db.warmUp()
  await insertRows('lost', 10, -60, 70)
  await insertRows('not-due', 10, 60, 70)
  await insertRows('just-enqueued', 10, -60, 1)
  await insertRows('just-due', 10, 0, 70) // two seconds before it counts as lost
  const { entries, queueing } = recordingQueue()
  const dispatcher = dispatcherOn(queueing)
  await dispatcher.round()
  expect(entries.every(({ id, delayMs }) => id.startsWith('lost') && delayMs === 0)).toBe(true)
  expect(entries).toHaveLength(10)
  await dispatcher.round()
  expect(entries).toHaveLength(10)
})

test('rows are not lost while the queue has a backlog: they are left alone for a minute', async () => {
  await insertRows('waiting', 10, -30, 70)
  await insertRows('enqueued', 10, -90, 30)
  await insertRows('lost', 10, -90, 170)
  const { entries, queueing } = recordingQueue({ waiting: 5000 })
  await dispatcherOn(queueing).round()
  expect(entries.map(({ id }) => id.replace(/\d+/, ''))).toEqual(Array(10).fill('lost'))
})

test('rows that the queue does not take are released', async () => {
  await insertRows('soon', 10, 1)
  await expect(dispatcherOn(recordingQueue({ fails: true }).queueing).round()).rejects.toThrow('away')
  const { entries, queueing } = recordingQueue()
  await dispatcherOn(queueing).round()
  expect(entries).toHaveLength(10)
})

test('nothing is claimed while the queue is away', async () => {
  await insertRows('soon', 10, 1)
  expect(await dispatcherOn(recordingQueue({ ready: false }).queueing).round()).toBe(0)
  expect(await database.query('SELECT 1 FROM transactions WHERE enqueued_at IS NOT NULL')).toEqual([])
})
