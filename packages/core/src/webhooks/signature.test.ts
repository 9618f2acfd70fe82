// Webhook signatures verify with a plain HMAC receiver, the reference library and our helper, and match published vectors.
import { createHmac } from 'node:crypto'
import type { ExternalPayment, Payment, Refund, Transaction } from '@sluice/contracts'
import {
  verify,
  type WebhookExternalPayment,
  type WebhookPayment,
  type WebhookRefund,
  type WebhookTransaction,
} from '@sluice/webhooks'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { generateWebhookSecret } from '../merchants/index.ts'
import { isWebhookSecret } from '../platform/standard-webhooks.ts'
import { signatureHeaders } from './signature.ts'

const SEEDED = 'whsec_test_abc123'
const id = '8f14e45f-ceea-467f-9575-6b1d4f1ab2c3'
const timestamp = 1705315870
const now = new Date(timestamp * 1000)
const body = Buffer.from(
  '{"event":"payment.success","timestamp":1705315870,"data":{"payment":{"id":"pay_1"}}}',
)

/** What a plain HMAC receiver computes: it parses the body, serialises it again, and signs that. */
const plainHmac = (text: string, secret: string) =>
  createHmac('sha256', secret)
    .update(JSON.stringify(JSON.parse(text)))
    .digest('hex')

describe('published vectors', () => {
  test('of Standard Webhooks (libraries/*/tests)', () => {
    const headers = signatureHeaders({
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: 1614265330,
      body: Buffer.from('{"test": 2432232314}'),
      secrets: { current: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' },
    })
    expect(headers).toMatchObject({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })

  test('of HMAC-SHA-256 (RFC 4231, test case 2)', () => {
    const nothing = Buffer.from('what do ya want for nothing?')
    expect(signatureHeaders({ id, timestamp, body: nothing, secrets: { current: 'Jefe' } })).toEqual({
      'X-Webhook-Signature': '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
    })
  })
})

test('a plain HMAC receiver, the reference library and our helper accept any body, by the current and the previous secret', () => {
  const notes = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary' }))
  fc.assert(
    fc.property(notes, (notes) => {
      const event = { event: 'payment.success', timestamp, data: { payment: { id: 'pay_1', notes } } }
      const text = JSON.stringify(event)
      const bytes = Buffer.from(text)
      const before = generateWebhookSecret()
      const secrets = { current: generateWebhookSecret(), previous: [before] }
      const present = Math.floor(Date.now() / 1000) // the reference library takes no other time
      const headers = signatureHeaders({ id, timestamp: present, body: bytes, secrets })

      expect(headers['X-Webhook-Signature']).toBe(plainHmac(bytes.toString(), secrets.current))
      for (const secret of [secrets.current, before]) {
        expect(new Webhook(secret).verify(bytes, headers)).toEqual(JSON.parse(text))
        expect(verify(bytes, headers, secret)).toMatchObject({ id, event: 'payment.success' })
        expect(verify(text, headers, secret).data).toEqual(JSON.parse(text).data)
      }
      expect(() => verify(bytes, headers, generateWebhookSecret())).toThrow(/No signature/)

      const seeded = signatureHeaders({ id, timestamp, body: bytes, secrets: { current: SEEDED } })
      expect(seeded['X-Webhook-Signature']).toBe(plainHmac(bytes.toString(), SEEDED))
      expect(verify(bytes, seeded, SEEDED)).toMatchObject({ id, timestamp })
    }),
  )
})

describe('which secrets sign', () => {
  const standard = generateWebhookSecret()
  const other = generateWebhookSecret()
  const bare = other.slice('whsec_'.length)
  const by = (secret: string) => new Webhook(secret).sign(id, now, body.toString())
  const third = generateWebhookSecret()
  const sign = (current: string, previous: readonly string[]) =>
    signatureHeaders({ id, timestamp, body, secrets: { current, previous } })

  test.each([
    ['the current one alone signs', standard, [], [standard]],
    ['both sign', standard, [other], [standard, other]],
    ['all previous ones sign', standard, [other, third], [standard, other, third]],
    ['a previous one of the other form does not sign', standard, [SEEDED], [standard]],
    ['a previous one without the prefix does not sign', standard, [bare], [standard]],
    ['the same one signs only once', standard, [standard], [standard]],
    ['of two forms the previous one signs', SEEDED, [other], [other]],
    ['a seeded secret signs nothing', SEEDED, [], []],
    ['secrets of no standard form sign nothing', bare, [SEEDED], []],
  ])('%s', (_what, current, previous, expected) => {
    const headers = sign(current, previous)
    expect(headers['webhook-signature']).toBe(expected.length > 0 ? expected.map(by).join(' ') : undefined)
    expect(headers['X-Webhook-Signature']).toBe(plainHmac(body.toString(), current))
    expect(headers).toMatchObject({ 'webhook-id': id, 'webhook-timestamp': '1705315870' })
    expect('webhook-signature' in headers).toBe(expected.length > 0)
    // Our helper finds the signature that it expects for every form of secret.
    expect(verify(body, headers, current, { now }).id).toBe(id)
  })
})

test('generated secrets are unique, fit the column, and are of the standard form', () => {
  const secrets = Array.from({ length: 100 }, generateWebhookSecret)
  expect(new Set(secrets).size).toBe(100)
  for (const secret of secrets) {
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(isWebhookSecret(secret)).toBe(true)
  }
})

test("the helper's types equal the wire types", () => {
  expectTypeOf<WebhookPayment>().toEqualTypeOf<Payment>()
  expectTypeOf<WebhookRefund>().toEqualTypeOf<Refund>()
  expectTypeOf<WebhookTransaction>().toEqualTypeOf<Transaction>()
  expectTypeOf<WebhookExternalPayment>().toEqualTypeOf<ExternalPayment>()
})
