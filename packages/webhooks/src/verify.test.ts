// verify() accepts correct signatures, by published vectors and by the reference library, and nothing else.
import { createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { verify, type WebhookHeaders, WebhookVerificationError } from './index.ts'

const newSecret = (bytes = 32) => `whsec_${randomBytes(bytes).toString('base64')}`
const secret = newSecret()
const plain = 'whsec_test_abc123'
const now = new Date(1705315900_000)
const id = '8f14e45f-ceea-467f-9575-6b1d4f1ab2c3'
const body = '{"event":"payment.success","timestamp":1705315870,"data":{"payment":{"id":"pay_1"}}}'

const hexOf = (text: string, by = secret) => createHmac('sha256', by).update(text).digest('hex')
const standard = (text = body, by = secret, at = now) => ({
  'webhook-id': id,
  'webhook-timestamp': String(at.getTime() / 1000),
  'webhook-signature': new Webhook(by).sign(id, at, text),
})
const hex = (text = body, by = plain) => ({ 'x-webhook-signature': hexOf(text, by) })
const failed = (text: string) => text.replace('success', 'failed')

/** The code of the refusal, or 'accepted'. */
function verdict(...args: Parameters<typeof verify>): string {
  try {
    verify(args[0], args[1], args[2], { now, ...args[3] })
    return 'accepted'
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error
    return error.code
  }
}

describe('published vectors', () => {
  // Their bodies are no webhooks of Sluice; the error about the body shows that the signature was right.
  test('of Standard Webhooks (libraries/*/tests)', () => {
    const vector = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    }
    const options = { now: new Date(1614265330_000) }
    const by = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
    expect(verdict('{"test": 2432232314}', vector, by, options)).toBe('bad_body')
    expect(verdict('{"test": 2432232315}', vector, by, options)).toBe('no_match')
  })

  test('of HMAC-SHA-256 (RFC 4231, test case 2)', () => {
    const vector = {
      'x-webhook-signature': '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    }
    expect(verdict('what do ya want for nothing?', vector, 'Jefe')).toBe('bad_body')
    expect(verdict('what do ya want for nothing!', vector, 'Jefe')).toBe('no_match')
  })
})

test('a verified webhook is returned as an event', () => {
  expect(verify(body, standard(), secret, { now })).toEqual({
    id,
    event: 'payment.success',
    name: 'payment.success',
    timestamp: 1705315870,
    createdAt: new Date('2024-01-15T10:51:10Z'),
    data: { payment: { id: 'pay_1' } },
  })
  expect(verify(body, hex(), plain)).toMatchObject({ id: undefined, event: 'payment.success' })
  expect(verify(body, { ...hex(), 'webhook-id': id }, plain).id).toBe(id)
})

test('any body signed by the reference library is accepted, as text or bytes, with any of several secrets; no other is', () => {
  const data = fc.dictionary(fc.string(), fc.jsonValue())
  const bytes = fc.integer({ min: 24, max: 64 })
  fc.assert(
    fc.property(data, bytes, fc.nat({ max: 2 }), fc.nat(), (notes, length, which, at) => {
      const text = JSON.stringify({ event: 'anything', timestamp: 1, data: notes })
      const secrets = Array.from({ length: 3 }, () => newSecret(length))
      const headers = standard(text, secrets[which])
      const event = verify(text, headers, secrets, { now })
      expect(event).toMatchObject({ event: 'unknown', name: 'anything' })
      expect(event.data).toEqual(JSON.parse(text).data)
      expect(verify(new Uint8Array(Buffer.from(text)), headers, secrets, { now })).toEqual(event)

      const others = secrets.filter((_, index) => index !== which)
      expect(verdict(text, headers, others)).toBe('no_match')
      const changed = Buffer.from(text)
      changed[at % changed.length]! ^= 1
      expect(verdict(changed, headers, secrets)).toBe('no_match')
    }),
  )
})

describe('a downgrade is impossible', () => {
  const right = { 'x-webhook-signature': hexOf(body) }
  test('the hex header is refused for a secret of the standard form, unless allowed', () => {
    expect(verdict(body, right, secret)).toBe('missing_header')
    expect(verdict(body, { ...standard(failed(body)), ...right }, secret)).toBe('no_match')
    expect(verdict(body, { ...standard(), ...right, 'webhook-timestamp': '1705310000' }, secret)).toBe(
      'bad_timestamp',
    )
    expect(verdict(body, right, secret, { allowHexSignature: true })).toBe('accepted')
    expect(verdict(failed(body), right, secret, { allowHexSignature: true })).toBe('no_match')
  })

  test('a second secret of the other form does not change that', () => {
    expect(verdict(body, right, [secret, plain])).toBe('no_match')
    expect(verdict(body, hex(), [secret, plain])).toBe('accepted')
    expect(verdict(body, standard(), [secret, plain])).toBe('accepted')
  })

  test.each([24, 32, 64])('%i bytes make a secret of the standard form', (bytes) => {
    const by = newSecret(bytes)
    expect(verdict(body, hex(body, by), by)).toBe('missing_header')
  })

  test.each([plain, newSecret(23), newSecret(65), randomBytes(32).toString('base64'), 'whsec_', 's'])(
    '%s is of the other form',
    (by) => {
      expect(verdict(body, hex(body, by), by)).toBe('accepted')
      expect(verdict(failed(body), hex(body, by), by)).toBe('no_match')
    },
  )
})

describe('signatures', () => {
  const [, right] = standard()['webhook-signature'].split(',') as [string, string]
  test.each([
    ['alone', `v1,${right}`, 'accepted'],
    ['among others', `v1,bm9uZQ== v2,abc v1a,${right} v1,${right}`, 'accepted'],
    ['after another of its length', `v1,${'A'.repeat(43)}= v1,${right}`, 'accepted'],
    ['of another version', `v2,${right}`, 'no_match'],
    ['without version', right, 'no_match'],
    ['separated by commas', `v1,bm9uZQ==,v1,${right}`, 'no_match'],
    ['shortened', `v1,${right.slice(0, -4)}`, 'no_match'],
    ['without a value', 'v1,', 'no_match'],
    ['empty', '', 'missing_header'],
  ])('%s', (_what, signature, expected) => {
    expect(verdict(body, { ...standard(), 'webhook-signature': signature }, secret)).toBe(expected)
  })

  test.each([
    ['upper case', hexOf(body, plain).toUpperCase()],
    ['shortened', hexOf(body, plain).slice(1)],
    ['of another secret', hexOf(body, 'another')],
    ['not ASCII', 'é'.repeat(32)],
  ])('in hex that are %s are refused', (_what, signature) => {
    expect(verdict(body, { 'x-webhook-signature': signature }, plain)).toBe('no_match')
  })

  test.each(['webhook-id', 'webhook-timestamp'])('%s is signed too', (name) => {
    const headers: Record<string, string> = standard()
    expect(
      verdict(body, { ...headers, [name]: String(Number(headers['webhook-timestamp']) + 1) }, secret),
    ).toBe('no_match')
    expect(verdict(body, { ...headers, [name]: undefined }, secret)).toBe('missing_header')
  })
})

describe('the timestamp', () => {
  const sent = (seconds: number) => standard(body, secret, new Date(now.getTime() + seconds * 1000))
  test.each([-301, -300, 0, 300, 301])('%i s from now', (seconds) => {
    const expected = Math.abs(seconds) > 300 ? 'bad_timestamp' : 'accepted'
    expect(verdict(body, sent(seconds), secret)).toBe(expected)
  })

  test('is checked with a given tolerance; an invalid tolerance or clock accepts nothing', () => {
    expect(verdict(body, sent(-301), secret, { toleranceSeconds: 301 })).toBe('accepted')
    expect(verdict(body, sent(-2), secret, { toleranceSeconds: 1 })).toBe('bad_timestamp')
    expect(verdict(body, sent(0), secret, { toleranceSeconds: Number.NaN })).toBe('bad_timestamp')
    expect(verdict(body, sent(0), secret, { now: new Date('never') })).toBe('bad_timestamp')
  })

  test.each([' ', '-1', '1e9', '0x10', '1705315900.0', 'now', '1705315900 '])(
    '%j is invalid',
    (timestamp) => {
      expect(verdict(body, { ...standard(), 'webhook-timestamp': timestamp }, secret)).toBe('bad_timestamp')
    },
  )

  test('is compared with the current time by default', () => {
    expect(() => verify(body, standard(), secret)).toThrow(/at most 300 s from now/)
    const present = new Date(Math.floor(Date.now() / 1000) * 1000)
    expect(verify(body, standard(body, secret, present), secret).event).toBe('payment.success')
  })
})

describe('headers', () => {
  const renamed = (rename: (name: string) => string) =>
    Object.fromEntries(Object.entries(standard()).map(([name, value]) => [rename(name), value]))
  const doubled = (name: string, value: string | string[]) => ({ ...standard(), [name]: value })
  test.each<[string, WebhookHeaders, string]>([
    ['upper case', renamed((name) => name.toUpperCase()), 'accepted'],
    ['title case', renamed((name) => name.replaceAll(/\b\w/g, (letter) => letter.toUpperCase())), 'accepted'],
    ["fetch's Headers", new Headers(standard()), 'accepted'],
    ['lists of one', renamed((name) => name), 'accepted'],
    ['a list of one', doubled('webhook-id', [id]), 'accepted'],
    ['a list of two', doubled('webhook-id', [id, id]), 'missing_header'],
    ['the same name twice', doubled('Webhook-Id', id), 'missing_header'],
    ['none', {}, 'missing_header'],
    ['none of Headers', new Headers(), 'missing_header'],
  ])('%s', (_what, headers, expected) => {
    expect(verdict(body, headers, secret)).toBe(expected)
  })
})

test.each<[unknown]>([
  [''],
  [[]],
  [['']],
  [undefined],
  [[secret, undefined]],
  [`${secret}\n`],
  [` ${plain}`],
])('%j is not a secret', (given) => {
  expect(verdict(body, { ...standard(), ...hex() }, given as string)).toBe('bad_secret')
})

describe('bodies', () => {
  test.each([[{ event: 'x' }], [undefined], [null], [[1]], [new ArrayBuffer(2)]])(
    '%j is not raw',
    (given) => {
      expect(verdict(given as never, standard(), secret)).toBe('bad_body')
    },
  )

  test.each([
    ['no JSON', 'payment.success'],
    ['no object', '[]'],
    ['null', 'null'],
    ['no event', '{"timestamp":1,"data":{}}'],
    ['no timestamp', '{"event":"x","data":{}}'],
    ['a timestamp that is no integer', '{"event":"x","timestamp":1.5,"data":{}}'],
    ['no data', '{"event":"x","timestamp":1}'],
    ['no payment', '{"event":"payment.created","timestamp":1,"data":{}}'],
    ['no payment of the refund', '{"event":"refund.created","timestamp":1,"data":{"refund":{}}}'],
    ['a payment that is no object', '{"event":"webhook.test","timestamp":1,"data":{"payment":"pay_1"}}'],
  ])('a signed body with %s is refused', (_what, text) => {
    expect(verdict(text, standard(text), secret)).toBe('bad_body')
  })

  test('a signed body that is not UTF-8 is refused', () => {
    const bytes = Buffer.concat([Buffer.from('{"event":"'), Buffer.from([0xff]), Buffer.from('"}')])
    const signature = createHmac('sha256', plain).update(bytes).digest('hex')
    expect(verdict(bytes, { 'x-webhook-signature': signature }, plain)).toBe('bad_body')
  })

  test.each(['constructor', '__proto__', 'unknown', 'payment.unheard_of', ''])(
    '%j is an unknown event',
    (name) => {
      const text = JSON.stringify({ event: name, timestamp: 1, data: {} })
      expect(verify(text, hex(text), plain)).toMatchObject({ event: 'unknown', name })
    },
  )
})

test('no error message contains a secret or a part of the request', () => {
  const sent: [WebhookHeaders, string][] = [
    [standard(failed(body)), secret],
    [{}, secret],
    [{ ...standard(), 'webhook-timestamp': 'unexpected' }, secret],
    [hex(failed(body)), plain],
  ]
  for (const [headers, by] of sent) {
    const message = (() => {
      try {
        verify(body, headers, by, { now })
      } catch (error) {
        return String(error)
      }
    })()
    expect(message).toMatch(/^WebhookVerificationError: /)
    for (const word of [secret, plain, 'unexpected', 'pay_1', id, hexOf(body)])
      expect(message).not.toContain(word)
  }
})
