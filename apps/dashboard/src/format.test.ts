// Tests of the formats of amounts, times, ids and JSON.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatAgo,
  formatCount,
  formatFetched,
  formatJson,
  formatMoney,
  formatTime,
  showId,
} from './format.ts'

const NOW = Date.parse('2026-11-20T12:00:00Z')
const secondsAgo = (seconds: number) => NOW - seconds * 1000

test.each([
  [25_000, 'USD', '$250.00 USD'],
  [75_000, 'USD', '$750.00 USD'],
  [9_900, 'EUR', '€99.00 EUR'],
  [50_000_000, 'INR', '₹500,000.00 INR'],
  [500, 'JPY', '¥500 JPY'],
  [0, 'USD', '$0.00 USD'],
  [5, 'USD', '$0.05 USD'],
  [-1_250, 'USD', '-$12.50 USD'],
  [999_999_999_999, 'USD', '$9,999,999,999.99 USD'],
])('%d minor units of %s are shown as %s', (amount, currency, text) => {
  expect(formatMoney(amount, currency)).toBe(text)
})

test.each([
  [1_250, 'KWD', '1.250 KWD'],
  [1_250, 'IQD', '1.250 IQD'],
  [10_000, 'CHF', '100.00 CHF'],
  [10_000, 'SEK', '100.00 SEK'],
  [10_000, 'ZWG', '100.00 ZWG'],
  [12_345, 'UYW', '1.2345 UYW'],
])('%d minor units of %s, a currency without a symbol, are shown as %s', (amount, currency, text) => {
  expect(formatMoney(amount, currency)).toBe(text)
})

test('a sum beyond 2^53 is shown as approximate', () => {
  expect(formatMoney(2 ** 53, 'USD')).toBe('≈ $90,071,992,547,409.92 USD')
})

test.each(['ZZZ', 'zz', '', '<b>', '💸'])('an unknown currency (%s) shows its minor units', (currency) => {
  expect(formatMoney(12_345, currency)).toBe(`12,345 minor units ${currency}`)
})

test('an amount keeps every digit', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (amount) => {
      const digits = formatMoney(amount, 'USD').replace(/[^0-9]/g, '')
      expect(Number(digits)).toBe(amount)
    }),
  )
})

test.each([
  [-3, 'just now'],
  [0, 'just now'],
  [4, 'just now'],
  [5, '5 s ago'],
  [59, '59 s ago'],
  [60, '1 min ago'],
  [125, '2 min ago'],
  [3_599, '59 min ago'],
  [3_600, '1 h ago'],
  [86_399, '23 h ago'],
  [86_400, '1 day ago'],
  [3 * 86_400, '3 days ago'],
  [40 * 86_400, 'on 2026-10-11'],
])('a time %d seconds ago is shown as "%s"', (seconds, text) => {
  expect(formatAgo(secondsAgo(seconds), NOW)).toBe(text)
})

test.each([
  [0, 'Updated just now'],
  [3, 'Updated 3 s ago'],
  [75, 'Updated 1 min ago'],
])('data fetched %d seconds ago is shown as "%s"', (seconds, text) => {
  expect(formatFetched(secondsAgo(seconds), NOW)).toBe(text)
})

test('times are in UTC, and counts have thousands separators', () => {
  expect(formatTime(Date.parse('2024-01-15T10:31:00.900Z'))).toBe('2024-01-15 10:31:00')
  expect(formatCount(10_000)).toBe('10,000')
})

test.each([
  ['  ', '␣␣'],
  [' a b  c ', '␣a b␣␣c␣'],
  ['a\nb', 'a\\u000ab'],
  ['a\u200bb', 'a\\u200bb'],
  ['a\u200db', 'a\\u200db'],
  ['a\u00a0b', 'a\\u00a0b'],
  ['1\ufe0f', '1\\ufe0f'],
  ['\u202e\u2066x\u2069', '\\u202e\\u2066x\\u2069'],
  ['\ufeff\u{e0041}\ud800', '\\ufeff\\u{e0041}\\ud800'],
])('the id %j is shown as %s', (id, text) => {
  expect(showId(id)).toBe(text)
})

test.each([
  'pay_8b5df45b_mgkf8mk7',
  'دفع/١٢٣ %2F',
  '<b>',
  '💸',
  '👩‍👩‍👧‍👦',
  '🏳️‍🌈',
  '👍🏽',
  '❤️‍🔥',
  '👩🏽‍🚀',
  '3️⃣',
  '🇨🇭',
])('the id %s is shown unchanged', (id) => {
  expect(showId(id)).toBe(id)
})

test('JSON is indented', () => {
  expect(formatJson('{"a" :[1,"x \\" y"], "b":{}}')).toBe(
    '{\n  "a": [\n    1,\n    "x \\" y"\n  ],\n  "b": {}\n}',
  )
})

test.each([
  '{"a":12345678901234567890}',
  '{"a":1.0}',
  '{"a":1,"a":2}',
  '{"2":0,"1":0}',
  '{"a":"\\u0041"}',
  'no',
  '',
])('%s is shown unchanged', (text) => {
  expect(formatJson(text)).toBe(text)
})

test('formatted JSON parses to the same value', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(JSON.parse(formatJson(text))).toEqual(JSON.parse(text))
    }),
  )
})
