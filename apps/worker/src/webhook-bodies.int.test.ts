// Any text in a body survives from the caller's JSON through PostgreSQL to the signed bytes of the POST.
import { createHmac } from 'node:crypto'
import { createRefund, postPaymentEvent, putWebhook } from '@sluice/contracts'
import {
  expectStatus,
  openShop,
  paymentEventBody,
  seededKeys,
  startSystem,
  type TestSystem,
  waitFor,
} from '@sluice/testing'
import { verify } from '@sluice/webhooks'
import fc from 'fast-check'
import { expect, inject, onTestFinished, test } from 'vitest'
import { startEndpoint } from './merchant-endpoint.fixture.ts'

/** The number of texts; each is in an event and in a refund, and the last ones have the maximum length. */
const TEXTS = 100

const piece = fc.oneof(
  fc.constantFrom(
    '"',
    '\\',
    '/',
    '\\u0041',
    '\\n',
    '</script>',
    '\u2028',
    '\u2029',
    '\ufeff',
    '\ufffe',
    '\u0301',
  ),
  fc.constantFrom(
    '\t',
    '\r\n',
    '\b',
    '\f',
    '\u001f',
    '\u007f',
    '\u0085',
    '\u009b',
    '%2F',
    '%00',
    'é',
    'ß',
    '٣',
  ),
  fc.constantFrom(
    '__proto__',
    'null',
    '1e400',
    '-0',
    '{"a":1}',
    '💸',
    '👨‍👩‍👧',
    '\u{10ffff}',
    "'; --",
    '$1',
    ' ',
  ),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
)
/** 1 to 100 characters, like processors' ids; no route accepts NUL or lone surrogates. */
const text = fc
  .array(piece, { minLength: 1, maxLength: 30 })
  .map((pieces) => [...pieces.join('').replace(/[\0\ud800-\udfff]/gu, '')].slice(0, 100).join(''))
  .filter((made) => made !== '' && made !== '.' && made !== '..')

const samples = () => [
  ...new Set([...fc.sample(text, TEXTS), '"'.repeat(100), '\u0001'.repeat(100), '💸'.repeat(100)]),
]

async function postEvents({ call }: TestSystem, texts: readonly string[]): Promise<void> {
  for (const [n, sample] of texts.entries()) {
    const body = paymentEventBody(`event_${n}`, sample, { user_id: texts.at(-1 - n)! })
    expectStatus(await call(postPaymentEvent, { body }), 202)
  }
}

async function postRefunds({ call }: TestSystem, texts: readonly string[]): Promise<void> {
  const { id } = await openShop(call).paid(texts.length)
  for (const reason of texts) {
    const input = { headers: seededKeys, params: { payment_id: id }, body: { amount: 1, reason } }
    expectStatus(await call(createRefund, input), 201)
  }
}

test('any accepted text is sent unchanged, in bytes that can be parsed, serialised again and verified', async () => {
  const { received, url } = await startEndpoint(onTestFinished)
  const system = await startSystem({ postgresUrl: inject('postgresUrl') })
  onTestFinished(system.stop)
  const settings = await system.call(putWebhook, { headers: seededKeys, body: { webhook_url: url } })
  const secret = expectStatus(settings, 200).webhook_secret!
  const texts = samples()
  await Promise.all([postEvents(system, texts), postRefunds(system, texts)])

  const bodiesOf = (event: string) =>
    received.map(({ body }) => JSON.parse(String(body))).filter((body) => body.event === event)
  await waitFor('all webhooks', () =>
    ['external_payment.completed', 'refund.created', 'refund.processed'].every(
      (event) => bodiesOf(event).length >= texts.length,
    ),
  )
  for (const { body, headers } of received) {
    const written = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
    expect(JSON.stringify(JSON.parse(written))).toBe(written)
    expect(headers['x-webhook-signature']).toBe(createHmac('sha256', secret).update(body).digest('hex'))
    verify(body, headers, secret)
  }
  const sorted = (all: readonly string[]) => all.toSorted()
  const payments = bodiesOf('external_payment.completed').map(({ data }) => data.payment)
  expect(sorted(payments.map((payment) => payment.payment_id))).toEqual(sorted(texts))
  expect(sorted(payments.map((payment) => payment.user_id))).toEqual(sorted(texts))
  for (const event of ['refund.created', 'refund.processed']) {
    expect(sorted(bodiesOf(event).map(({ data }) => data.refund.reason))).toEqual(sorted(texts))
  }
})
