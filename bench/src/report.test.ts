// Tests of the tables that benchmarks print.
import { expect, test } from 'vitest'
import { formatTable } from './report.ts'

test('aligns text left and numbers right, with digits that fit the size', () => {
  const text = formatTable({
    title: 'Burst',
    columns: ['target', 'req/s', 'p99 ms'],
    rows: [
      ['bare', 31_234.5, 9.876],
      ['redis', 900, Number.NaN],
    ],
    notes: ['a note'],
  })
  expect(text.split('\n')).toEqual([
    '',
    'Burst',
    'target   req/s  p99 ms',
    '------  ------  ------',
    'bare    31,235    9.88',
    'redis      900       -',
    '  a note',
  ])
})
