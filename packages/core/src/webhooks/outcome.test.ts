// Outcomes as a table: which responses are a success, what is stored of a body, and which Retry-After counts.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ErrorClass } from './outbound-failure.ts'
import { type OutboundResult, outcomeOf } from './outcome.ts'

const now = new Date('2024-01-15T10:30:00Z')
const responded = (status: number, body: string | Buffer = '', retryAfter?: string): OutboundResult => ({
  is: 'responded',
  status,
  headers: retryAfter === undefined ? {} : { retryAfter },
  body: Buffer.from(body),
  durationMs: 1,
})
const textOf = (body: string | Buffer) => outcomeOf(responded(200, body), now).responseBody!

test.each([
  [200, 'success'],
  [201, 'success'],
  [204, 'success'],
  [299, 'success'],
  [300, 'failed'],
  [301, 'failed'],
  [304, 'failed'],
  [400, 'failed'],
  [410, 'failed'],
  [429, 'failed'],
  [500, 'failed'],
  [503, 'failed'],
  [599, 'failed'],
  [999, 'failed'],
])('%i is a %s', (status, expected) => {
  expect(outcomeOf(responded(status, 'some text'), now)).toMatchObject({
    status: expected,
    responseCode: status,
    error: null,
    responseBody: 'some text',
  })
})

test.each<ErrorClass>([
  'dns',
  'refused',
  'reset',
  'tls',
  'timeout',
  'invalid_response',
  'blocked_address',
  'invalid_url',
  'other',
])('no complete header, %s, is a failure without a code', (error) => {
  expect(outcomeOf({ is: 'failed', error, message: 'why', durationMs: 1 }, now)).toEqual({
    status: 'failed',
    responseCode: null,
    error,
    responseBody: null,
    retryAfterMs: undefined,
  })
})

test.each([
  ['plain text', 'ok ₹ 😀', 'ok ₹ 😀'],
  ['NUL', 'a\0b', 'a\uFFFDb'],
  ['invalid UTF-8', Buffer.from([0x61, 0xff, 0xc3, 0x28]), 'a\uFFFD\uFFFD('],
  ['a surrogate in UTF-8', Buffer.from([0xed, 0xa0, 0x80]), '\uFFFD\uFFFD\uFFFD'],
  ['a body that ends within a character', Buffer.from([0x61, 0xe2, 0x82]), 'a\uFFFD'],
  ['a byte order mark', '\uFEFFa', '\uFEFFa'],
  ['gzip', Buffer.from([0x1f, 0x8b, 0x08]), '\u001F\uFFFD\b'],
])('the stored body is valid text: %s', (_what, body, text) => {
  expect(textOf(body)).toBe(text)
})

test('the first 4 KiB are stored, without half a character at the cut', () => {
  expect(textOf('x'.repeat(70_000))).toBe('x'.repeat(4096))
  expect(textOf(`${'x'.repeat(4095)}₹₹`)).toBe('x'.repeat(4095))
  expect(textOf(`${'x'.repeat(4093)}₹`)).toBe(`${'x'.repeat(4093)}₹`)
})

test('any bytes give well-formed text without NUL', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
      const text = textOf(Buffer.from(bytes))
      expect(text).not.toContain('\0')
      expect(Buffer.from(text).toString()).toBe(text)
    }),
  )
})

test.each([
  ['30', 30_000],
  [' 30 ', 30_000],
  ['0', 0],
  ['3600', 3_600_000],
  ['3601', 3_600_000],
  ['9'.repeat(400), 3_600_000],
  ['Mon, 15 Jan 2024 10:32:00 GMT', 120_000],
  ['Monday, 15-Jan-24 10:32:00 GMT', 120_000],
  ['Mon Jan 15 10:32:00 2024', 120_000],
  ['Mon, 15 Jan 2024 10:29:00 GMT', 0],
  ['Mon, 15 Jan 2029 10:29:00 GMT', 3_600_000],
  ['Mon, 99 Jan 2024 99:29:00 GMT', undefined],
  ['-5', undefined],
  ['1.5', undefined],
  ['1e3', undefined],
  ['soon', undefined],
  ['', undefined],
  [undefined, undefined],
])('Retry-After: %s is %s ms on 429 and 503, and is ignored on other statuses', (header, ms) => {
  for (const status of [429, 503]) {
    expect(outcomeOf(responded(status, '', header), now).retryAfterMs).toBe(ms)
  }
  for (const status of [200, 301, 400, 500, 502]) {
    expect(outcomeOf(responded(status, '', header), now).retryAfterMs).toBeUndefined()
  }
})
