// Tests of the benchmarks' statistics against values worked out by hand.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { median, medians, percentile, Sample, slope, summarize } from './stats.ts'

describe('percentile', () => {
  test('takes the nearest rank, never an interpolation', () => {
    const sample = [10, 20, 30, 40]
    expect(percentile(sample, 0.5)).toBe(20)
    expect(percentile(sample, 0.51)).toBe(30)
    expect(percentile(sample, 0)).toBe(10)
    expect(percentile(sample, 1)).toBe(40)
  })

  test('of an empty sample is not a number', () => {
    expect(percentile([], 0.99)).toBeNaN()
  })
})

describe('summarize', () => {
  test('orders by value, not by text, and does not change its input', () => {
    const sample = [100, 9, 20]
    expect(summarize(sample)).toEqual({ count: 3, p50: 20, p99: 100, max: 100 })
    expect(sample).toEqual([100, 9, 20])
  })

  test('a growing sample has the same summary as an array', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true }), { minLength: 1 }), (values) => {
        const sample = new Sample()
        for (const value of values) sample.add(value)
        expect(sample.summary()).toEqual(summarize(values))
      }),
    )
  })

  test('a sample grows beyond its first allocation', () => {
    const sample = new Sample()
    for (let i = 1; i <= 100_000; i++) sample.add(i)
    expect(sample.summary()).toEqual({ count: 100_000, p50: 50_000, p99: 99_000, max: 100_000 })
  })
})

test('median is the middle, or the mean of the two in the middle', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([])).toBeNaN()
})

test('medians takes the median of each column', () => {
  expect(
    medians([
      [1, 30],
      [2, 10],
      [9, 20],
    ]),
  ).toEqual([2, 20])
})

test('slope is the growth by unit of x', () => {
  expect(slope([0, 1, 2].map((x) => ({ x, y: 5 + 3 * x })))).toBeCloseTo(3)
  expect(slope([{ x: 0, y: 7 }])).toBe(0)
  expect(slope([0, 1, 2].map((x) => ({ x, y: 4 })))).toBe(0)
})
