// Delays before a dead process is started again.
import { expect, test } from 'vitest'
import { nextDelayMs } from './backoff.ts'

test('delays double from 200 ms to 5 s', () => {
  const delays: number[] = []
  for (let i = 0; i < 7; i++) delays.push(nextDelayMs(delays.at(-1), 10))
  expect(delays).toEqual([200, 400, 800, 1600, 3200, 5000, 5000])
})

test('a process that lived for 30 s begins with a short delay again', () => {
  expect(nextDelayMs(5000, 29_999)).toBe(5000)
  expect(nextDelayMs(5000, 30_000)).toBe(200)
})
