// Signatures: the published vectors, the reference library as the other side, and signatures to refuse.
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { createSignatureCheck, isWebhookSecret, signWebhook } from './standard-webhooks.ts'

// From the specification's repository (libraries/*/tests): one message, its secret and its signature.
const published = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: '1614265330',
  body: Buffer.from('{"test": 2432232314}'),
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
}
const then = Number(published.timestamp) * 1000
const headersOf = (signature: string, { id, timestamp } = published) => ({
  'webhook-id': id,
  'webhook-timestamp': timestamp,
  'webhook-signature': signature,
})
const check = createSignatureCheck([published.secret])

describe('the published vector', () => {
  test('is produced and accepted', () => {
    expect(signWebhook(published.secret, published)).toBe(published.signature)
    expect(check.problem(headersOf(published.signature), published.body, then)).toBeUndefined()
  })

  test('is accepted among other signatures, with and without the prefix of its secret', () => {
    const among = `v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,abc ${published.signature} v1,bm9uZQ==`
    expect(check.problem(headersOf(among), published.body, then)).toBeUndefined()
    const bare = createSignatureCheck([published.secret.slice('whsec_'.length)])
    expect(bare.problem(headersOf(published.signature), published.body, then)).toBeUndefined()
  })

  test.each([
    ['another body', headersOf(published.signature), '{"test": 2432232315}'],
    ['the same JSON in other bytes', headersOf(published.signature), '{"test":2432232314}'],
    ['another id', { ...headersOf(published.signature), 'webhook-id': 'msg_other' }, undefined],
    ['another time', { ...headersOf(published.signature), 'webhook-timestamp': '1614265331' }, undefined],
    ['another signature', headersOf('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA='), undefined],
    ['a shortened signature', headersOf(published.signature.slice(0, -8)), undefined],
    ['another version', headersOf(published.signature.replace('v1,', 'v2,')), undefined],
    ['no version', headersOf(published.signature.replace('v1,', '')), undefined],
    ['an empty signature', headersOf('v1,'), undefined],
  ])('is refused with %s', (_what, headers, body) => {
    const bytes = body === undefined ? published.body : Buffer.from(body)
    expect(check.problem(headers, bytes, then)).toMatch(/webhook-signature must hold a valid/)
  })

  test.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('is refused without %s', (name) => {
    const headers = headersOf(published.signature)
    expect(check.problem({ ...headers, [name]: undefined }, published.body, then)).toContain(name)
    expect(check.problem({ ...headers, [name]: '' }, published.body, then)).toContain(name)
    expect(check.problem({ ...headers, [name]: ['a', 'b'] }, published.body, then)).toContain(name)
  })

  test('is accepted from 300 s before its time to 300 s after it, and not beyond', () => {
    for (const seconds of [-300, -299, 0, 299, 300]) {
      const now = then + seconds * 1000
      expect(check.problem(headersOf(published.signature), published.body, now)).toBeUndefined()
    }
    for (const seconds of [-301, 301, 86_400]) {
      const now = then + seconds * 1000
      expect(check.problem(headersOf(published.signature), published.body, now)).toMatch(/within 300 s/)
    }
  })
})

test.each(['', ' ', '-1', '1e9', '0x10', '12.5', 'now', '1614265330 '])('no time: %j', (timestamp) => {
  const headers = { ...headersOf(published.signature), 'webhook-timestamp': timestamp }
  expect(check.problem(headers, published.body, then)).toMatch(/webhook-timestamp/)
})

test('any message that the reference library signs is accepted by any of several secrets, and vice versa', () => {
  const message = fc.record({
    id: fc.stringMatching(/^[\w-]{1,40}$/),
    seconds: fc.integer({ min: -299, max: 299 }),
    body: fc.json(),
    which: fc.nat({ max: 2 }),
  })
  fc.assert(
    fc.property(message, ({ id, seconds, body, which }) => {
      const secrets = Array.from({ length: 3 }, () => `whsec_${randomBytes(32).toString('base64')}`)
      const now = Date.now()
      const at = new Date(Math.floor(now / 1000) * 1000 + seconds * 1000)
      const timestamp = String(at.getTime() / 1000)
      const theirs = new Webhook(secrets[which]!)
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': theirs.sign(id, at, body),
      }
      expect(createSignatureCheck(secrets).problem(headers, Buffer.from(body), now)).toBeUndefined()
      const others = secrets.filter((_, i) => i !== which)
      expect(createSignatureCheck(others).problem(headers, Buffer.from(body), now)).toBeDefined()

      const ours = signWebhook(secrets[which]!, { id, timestamp, body: Buffer.from(body) })
      expect(theirs.verify(body, { ...headers, 'webhook-signature': ours })).toEqual(JSON.parse(body))
    }),
    { numRuns: 200 },
  )
})

test.each([
  [published.secret, true],
  [`whsec_${randomBytes(24).toString('base64')}`, true],
  [`whsec_${randomBytes(64).toString('base64')}`, true],
  [`whsec_${randomBytes(23).toString('base64')}`, false],
  [`whsec_${randomBytes(65).toString('base64')}`, false],
  ['whsec_', false],
  ['whsec_test_abc123', false],
  ['', false],
])('%j is a secret: %s', (secret, is) => {
  expect(isWebhookSecret(secret)).toBe(is)
})
