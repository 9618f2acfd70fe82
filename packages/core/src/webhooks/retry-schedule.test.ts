// The retry schedule to the millisecond: both tables, the end after five attempts, and Retry-After as a capped minimum.
import { expect, test } from 'vitest'
import { ATTEMPTS_MAX, retryDelayMs, retryDelaysMs } from './retry-schedule.ts'

const waitMs = (attempts: number, test: boolean, retryAfterMs?: number) =>
  retryDelayMs({ attempts, test, retryAfterMs })

test('attempts are made after 0, 60, 300, 1800 and 7200 s, in the test schedule after 0, 5, 10, 15 and 20 s', () => {
  expect(retryDelaysMs(false)).toEqual([0, 60_000, 300_000, 1_800_000, 7_200_000])
  expect(retryDelaysMs(true)).toEqual([0, 5_000, 10_000, 15_000, 20_000])
  expect(retryDelaysMs(false)).toHaveLength(ATTEMPTS_MAX)
})

test.each([
  [0, 0, 0],
  [1, 60_000, 5_000],
  [2, 300_000, 10_000],
  [3, 1_800_000, 15_000],
  [4, 7_200_000, 20_000],
  [5, undefined, undefined],
  [6, undefined, undefined],
])('after %i failed attempts the next is due in %s ms (test: %s ms)', (attempts, ms, testMs) => {
  expect(waitMs(attempts, false)).toBe(ms)
  expect(waitMs(attempts, true)).toBe(testMs)
})

test.each([
  ['longer than the schedule counts', 1, 90_000, 90_000],
  ['shorter than the schedule does not', 2, 90_000, 300_000],
  ['of zero changes nothing', 1, 0, 60_000],
  ['beyond an hour is an hour', 1, 86_400_000, 3_600_000],
  ['of an hour does not shorten two', 4, 3_600_000, 7_200_000],
  ['after the last attempt adds no attempt', 5, 1_000, undefined],
])('a Retry-After that is %s', (_what, attempts, retryAfterMs, ms) => {
  expect(waitMs(attempts, false, retryAfterMs)).toBe(ms)
})
