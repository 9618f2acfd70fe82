// Lines of output, amounts, settings, and behaviour read from URLs.
import { currencyDecimals } from '@sluice/contracts'
import type { WebhookEvent } from '@sluice/webhooks'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { behaviourOf } from './behaviour.ts'
import { describeEvent, minorAmount, printable } from './line.ts'
import { readSettings } from './settings.ts'

const eventOf = (name: string, data: object, event = name) =>
  ({ id: 'w1', event, name, timestamp: 1, createdAt: new Date(1000), data }) as unknown as WebhookEvent
const payment = { id: 'pay_1', amount: 50000, currency: 'INR' }

test.each<[WebhookEvent, string]>([
  [eventOf('payment.success', { payment }), 'payment.success  pay_1  500.00 INR  webhook w1'],
  [eventOf('webhook.test', { payment }), 'webhook.test  pay_1  500.00 INR  webhook w1'],
  [
    eventOf('refund.processed', { payment, refund: { id: 'rfnd_1', amount: 101 } }),
    'refund.processed  pay_1  1.01 INR  rfnd_1  webhook w1',
  ],
  [
    eventOf('external_payment.completed', { payment: { payment_id: 'x', amount: 5, currency: 'JPY' } }),
    'external_payment.completed  x  5 JPY  webhook w1',
  ],
  [
    eventOf('transaction.processed', {
      transaction: { transaction_id: 'txn_1', amount: 150.5, currency: 'USD' },
    }),
    'transaction.processed  txn_1  150.5 USD  webhook w1',
  ],
  [eventOf('payment.new_kind', {}, 'unknown'), 'payment.new_kind  webhook w1'],
])('%#: %s', (event, expected) => {
  expect(describeEvent(event, 1).replaceAll(/ {3,}/g, '  ')).toBe(expected)
})

test.each([
  [2, '2nd'],
  [3, '3rd'],
  [4, '4th'],
  [11, '11th'],
  [12, '12th'],
  [21, '21st'],
  [111, '111th'],
])('the %ith time is shown', (attempt, shown) => {
  expect(describeEvent(eventOf('x', {}, 'unknown'), attempt)).toContain(`webhook w1  again (${shown} time)`)
})

test('an amount loses no digit in any currency', () => {
  expect([minorAmount(5, 'INR'), minorAmount(1234, 'KWD'), minorAmount(0, 'USD')]).toEqual([
    '0.05 INR',
    '1.234 KWD',
    '0.00 USD',
  ])
  expect(minorAmount(5, 'ZZZ')).toBe('5 minor units of ZZZ')
  fc.assert(
    fc.property(
      fc.nat({ max: 999_999_999_999 }),
      fc.constantFrom('INR', 'JPY', 'KWD'),
      (amount, currency) => {
        const [number, code] = minorAmount(amount, currency).split(' ')
        expect([Number(number!.replace('.', '')), code]).toEqual([amount, currency])
        expect(number!.split('.')[1]?.length ?? 0).toBe(currencyDecimals(currency))
      },
    ),
  )
})

test('printed text cannot control the terminal', () => {
  expect(printable('a\u001b[2J\nb\u009b\u2028\u202ec')).toBe('a\\u001b[2J\\nb\\u009b\\u2028\\u202ec')
  expect(printable('pay_Ü–😀')).toBe('pay_Ü–😀')
})

test.each<[string, ReturnType<typeof behaviourOf>]>([
  ['/', { status: 200, delayMs: 0, times: 0 }],
  ['/webhook?status=500', { status: 200, delayMs: 0, times: 0 }],
  ['/fail', { status: 500, delayMs: 0, times: Number.POSITIVE_INFINITY }],
  ['/fail?status=429&times=2', { status: 429, delayMs: 0, times: 2 }],
  ['/fail?status=200', 'status must be an integer from 300 to 599'],
  ['/fail?times=-1', 'times must be an integer from 0 to 999999999'],
  ['/slow', { status: 200, delayMs: 6000, times: 0 }],
  ['/slow?ms=0', { status: 200, delayMs: 0, times: 0 }],
  ['/slow?ms=1e3', 'ms must be an integer from 0 to 600000'],
])('%s', (url, expected) => {
  expect(behaviourOf(url)).toEqual(expected)
})

test('settings have defaults, and errors name the invalid variable', () => {
  const defaults = { host: '127.0.0.1', port: 4000, secret: 'whsec_test_abc123' }
  expect(readSettings({})).toEqual(defaults)
  expect(readSettings({ HOST: '', RECEIVER_PORT: '', WEBHOOK_SECRET: '' })).toEqual(defaults)
  expect(readSettings({ HOST: '0.0.0.0', RECEIVER_PORT: '0', WEBHOOK_SECRET: 's' })).toEqual({
    host: '0.0.0.0',
    port: 0,
    secret: 's',
  })
  for (const RECEIVER_PORT of ['x', '-1', '65536', '4e3', ' 4000', '4000.0'])
    expect(() => readSettings({ RECEIVER_PORT })).toThrow('RECEIVER_PORT must be an integer from 0 to 65535')
  expect(() => readSettings({ WEBHOOK_SECRET: 's ' })).toThrow(/^WEBHOOK_SECRET must/)
})
