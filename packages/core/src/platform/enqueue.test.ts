// Enqueueing jobs behind their commits, against a queue that the test controls.
import fc from 'fast-check'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createEnqueuer } from './enqueue.ts'
import { defineJob, type JobEntry, type JobKind } from './job.ts'
import { createMetrics } from './metrics.ts'
import type { Queueing } from './queue.ts'
import type { Tracing } from './tracing.ts'

const job = defineJob({ queue: 'rows' })

interface Add {
  kind: JobKind
  ids: string[]
  entries: readonly JobEntry[]
  at: number
  complete: () => void
  refuse: (error: Error) => void
}

/** A enqueuer before a queue whose adds the test completes. */
function enqueuerOn(over: Partial<Queueing> = {}, tracing?: Tracing) {
  const adds: Add[] = []
  const logged: Array<{ rows: number; err: { message: string } }> = []
  const queueing = {
    isReady: () => true,
    enqueueGapMs: 0,
    enqueue: (kind: JobKind, entries: readonly JobEntry[]) =>
      new Promise<void>((complete, refuse) => {
        adds.push({
          kind,
          ids: entries.map(({ id }) => id),
          entries,
          at: performance.now(),
          complete,
          refuse,
        })
      }),
    ...over,
  } as Queueing
  const metrics = createMetrics()
  const log = pino({ level: 'debug' }, { write: (line: string) => logged.push(JSON.parse(line)) })
  const enqueuer = createEnqueuer({ queueing, metrics, log, tracing }, { kind: 'row', job })
  const counted = async () =>
    Object.fromEntries(
      (await metrics.enqueued.get()).values.map(({ labels, value }) => [
        `${labels.kind} ${labels.outcome}`,
        value,
      ]),
    )
  /** Completes the add under way, and waits until the next one has begun. */
  async function nextAdd(number: number): Promise<Add> {
    await expect.poll(() => adds.length, { interval: 1, timeout: 15_000 }).toBe(number)
    return adds[number - 1]!
  }
  return { enqueuer, adds, logged, counted, nextAdd }
}

const ids = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `row-${from + i}`)

test('the first job is added at once, due at once, in the background', () => {
  const { enqueuer, adds } = enqueuerOn()
  expect(enqueuer.enqueue('a')).toBeUndefined()
  expect(adds).toMatchObject([{ kind: job, entries: [{ id: 'a', delayMs: 0 }] }])
})

test('jobs that arrive during an add share the next one', async () => {
  const { enqueuer, adds, nextAdd } = enqueuerOn()
  enqueuer.enqueue('a')
  for (const id of ['b', 'c', 'd']) enqueuer.enqueue(id)
  expect(adds.map((add) => add.ids)).toEqual([['a']])
  adds[0]!.complete()
  expect((await nextAdd(2)).ids).toEqual(['b', 'c', 'd'])
})

test('an add has at most 500 jobs, one add is under way at a time, and none is lost, doubled or out of order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 1300 }), { minLength: 1, maxLength: 4 }),
      async (bursts) => {
        const added: string[] = []
        let underWay = 0
        const { enqueuer } = enqueuerOn({
          async enqueue(_kind, entries) {
            expect(++underWay).toBe(1)
            expect(entries.length).toBeLessThanOrEqual(500)
            await new Promise((resolve) => setImmediate(resolve))
            added.push(...entries.map(({ id }) => id))
            underWay--
          },
        })
        const enqueued: string[] = []
        for (const burst of bursts) {
          for (const id of ids(burst, enqueued.length)) {
            enqueuer.enqueue(id)
            enqueued.push(id)
          }
          await new Promise((resolve) => setImmediate(resolve))
        }
        await enqueuer.drain()
        expect(added).toEqual(enqueued)
      },
    ),
    { numRuns: 30 },
  )
})

test('a failed add is counted and logged, and later jobs are still added', async () => {
  const { enqueuer, adds, logged, counted, nextAdd } = enqueuerOn()
  enqueuer.enqueue('a')
  enqueuer.enqueue('b')
  enqueuer.enqueue('c')
  adds[0]!.refuse(new Error('the queue is away'))
  ;(await nextAdd(2)).complete()
  await enqueuer.drain()
  expect(adds.map((add) => add.ids)).toEqual([['a'], ['b', 'c']])
  expect(await counted()).toEqual({ 'row failed': 1, 'row ok': 2 })
  expect(logged).toMatchObject([{ rows: 1, err: { message: 'the queue is away' } }])
  enqueuer.enqueue('d')
  expect((await nextAdd(3)).ids).toEqual(['d'])
})

test('the next add for jobs that arrived meanwhile comes after the queue’s gap', async () => {
  const enqueueGapMs = 40
  const { enqueuer, adds, nextAdd } = enqueuerOn({ enqueueGapMs })
  enqueuer.enqueue('a')
  enqueuer.enqueue('b')
  const completedAt = performance.now()
  adds[0]!.complete()
  await Promise.resolve()
  enqueuer.enqueue('c')
  const second = await nextAdd(2)
  // A timer may fire up to a millisecond early.
  expect(second.at - completedAt).toBeGreaterThanOrEqual(enqueueGapMs - 1)
  expect(second.ids).toEqual(['b', 'c'])
})

test('drain waits until all jobs are added, later arrivals included', async () => {
  const { enqueuer, adds, nextAdd } = enqueuerOn()
  await enqueuer.drain() // nothing to wait for
  enqueuer.enqueue('a')
  let drained = false
  const draining = enqueuer.drain().then(() => {
    drained = true
  })
  enqueuer.enqueue('b')
  adds[0]!.complete()
  const second = await nextAdd(2)
  enqueuer.enqueue('c')
  second.complete()
  const third = await nextAdd(3)
  expect(drained).toBe(false)
  third.complete()
  await draining
  expect(adds.flatMap((add) => add.ids)).toEqual(['a', 'b', 'c'])
})

test('a drain does not fail when an add does', async () => {
  const { enqueuer, adds } = enqueuerOn()
  enqueuer.enqueue('a')
  adds[0]!.refuse(new Error('away'))
  await expect(enqueuer.drain()).resolves.toBeUndefined()
})

test('while the queue is not ready, or 5000 jobs wait, rows are left to the dispatcher', async () => {
  let ready = false
  const { enqueuer, adds, nextAdd } = enqueuerOn({ isReady: () => ready })
  expect(enqueuer.willEnqueue()).toBe(false)
  ready = true
  expect(enqueuer.willEnqueue()).toBe(true)
  for (const id of ids(5000)) enqueuer.enqueue(id) // the first one is not waiting: it is being added
  expect(enqueuer.willEnqueue()).toBe(true)
  enqueuer.enqueue('one more')
  expect(enqueuer.willEnqueue()).toBe(false)
  adds[0]!.complete()
  await nextAdd(2)
  expect(enqueuer.willEnqueue()).toBe(true)
})

test('each job carries the trace in which it was enqueued', async () => {
  const traces = ['trace-a', undefined, 'trace-c']
  const tracing = { current: () => traces.shift() } as Tracing
  const { enqueuer, adds, nextAdd } = enqueuerOn({}, tracing)
  for (const id of ['a', 'b', 'c']) enqueuer.enqueue(id)
  expect(adds[0]!.entries).toEqual([{ id: 'a', delayMs: 0, trace: 'trace-a' }])
  adds[0]!.complete()
  expect((await nextAdd(2)).entries).toEqual([
    { id: 'b', delayMs: 0, trace: undefined },
    { id: 'c', delayMs: 0, trace: 'trace-c' },
  ])
})
