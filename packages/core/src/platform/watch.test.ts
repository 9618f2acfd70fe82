// The watch has one loop, also when listeners come and go during a poll.
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Database } from '../platform/database.ts'
import { createChangeWatch } from './watch.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A sequence that counts its reads; the test decides its value and its delay. */
function sequence({ takesMs = 0 } = {}) {
  const asked = { times: 0, value: 1, fails: false }
  const batch = async () => {
    asked.times++
    await new Promise((resolve) => setTimeout(resolve, takesMs))
    if (asked.fails) throw new Error('away')
    return { rows: [[String(asked.value)]], rowCount: 1 }
  }
  const db = { batch } as Partial<Database> as Database
  return { asked, watch: createChangeWatch({ db, log: pino({ level: 'silent' }) }, ['changes']) }
}

test('listeners that come and go during a poll start no second loop', async () => {
  const { asked, watch } = sequence({ takesMs: 100 })
  let leave = watch.listen(() => {})
  for (let reload = 0; reload < 10; reload++) {
    await vi.advanceTimersByTimeAsync(50)
    leave()
    leave = watch.listen(() => {})
  }
  await vi.advanceTimersByTimeAsync(1000)
  const before = asked.times
  await vi.advanceTimersByTimeAsync(4000)
  expect(asked.times - before).toBeLessThanOrEqual(10)
  leave()
  const after = asked.times
  await vi.advanceTimersByTimeAsync(4000)
  expect(asked.times).toBe(after)
})

test('it continues after PostgreSQL was away, and notifies of changes made meanwhile', async () => {
  const { asked, watch } = sequence()
  let notified = 0
  watch.listen(() => notified++)
  await vi.advanceTimersByTimeAsync(5000)
  notified = 0
  asked.fails = true
  await vi.advanceTimersByTimeAsync(5000)
  expect(notified).toBe(0)
  asked.fails = false
  asked.value++
  await vi.advanceTimersByTimeAsync(1000)
  expect(notified).toBe(1)
})
