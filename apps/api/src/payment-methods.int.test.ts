// Payment methods through the API: accepted cards and VPAs with their stored parts, and refused ones with codes.
import { randomUUID } from 'node:crypto'
import { bankScenarios, type ErrorBody, Payment } from '@sluice/contracts'
import { openShop, type Shop, seededKeys, startSystem, type TestSystem, untilKnown } from '@sluice/testing'
import Value from 'typebox/value'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

let system: TestSystem
let shop: Shop
let orderId: string
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
  shop = openShop(system.call)
  orderId = (await shop.order()).id
})
afterAll(() => system?.stop())

/** The expiry of a card some months from now, in UTC. */
function month(ahead: number): { expiry_month: string; expiry_year: string } {
  const now = new Date()
  const date = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1))
  return { expiry_month: String(date.getUTCMonth() + 1), expiry_year: String(date.getUTCFullYear()) }
}
const goodCard = { number: '4111111111111111', ...month(12), cvv: '123', holder_name: 'John Doe' }

function post(body: object, path = '/api/v1/payments') {
  const headers = {
    'content-type': 'application/json',
    'idempotency-key': randomUUID(),
    ...(path.endsWith('public') ? {} : seededKeys),
  }
  return untilKnown(async () => {
    const response = await fetch(system.api.url + path, {
      method: 'POST',
      headers,
      body: JSON.stringify({ order_id: orderId, ...body }),
    })
    return { status: response.status, body: JSON.parse(await response.text()) }
  })
}
const payByCard = (card: object = {}, path?: string) =>
  post({ method: 'card', card: { ...goodCard, ...card } }, path)
const payByUpi = (vpa: unknown, path?: string) => post({ method: 'upi', vpa }, path)

/** The number with its check digit, by a formula independent of the code under test. */
function withCheckDigit(partial: string): string {
  const sum = [...partial].reverse().reduce((total, digit, index) => {
    const doubled = index % 2 === 0 ? Number(digit) * 2 : Number(digit)
    return total + Math.floor(doubled / 10) + (doubled % 10)
  }, 0)
  return `${partial}${(10 - (sum % 10)) % 10}`
}
/** A valid number of this length with this prefix. */
const cardNumber = (prefix: string, length = 16) =>
  withCheckDigit(`${prefix}${'7309182645501938274'}`.slice(0, length - 1))

/** Expects the same error on both routes, without any part of the typed value. */
async function expectRefused(body: object, code: string, field: string, typed: string[] = []): Promise<void> {
  for (const path of ['/api/v1/payments', '/api/v1/payments/public']) {
    const response = (await post(body, path)) as { status: number; body: ErrorBody }
    expect(response).toEqual({
      status: 400,
      body: { error: { code, field, description: expect.any(String), request_id: expect.any(String) } },
    })
    for (const secret of typed) expect(JSON.stringify(response.body)).not.toContain(secret)
  }
}

describe('UPI', () => {
  test('responds 201 at once with all fields, pending', async () => {
    const { status, body } = await payByUpi('user@paytm')
    expect({ status, body }).toEqual({
      status: 201,
      body: {
        id: expect.stringMatching(/^pay_[A-Za-z0-9]{16}$/),
        order_id: orderId,
        amount: 50_000,
        currency: 'INR',
        method: 'upi',
        vpa: 'user@paytm',
        status: 'pending',
        captured: false,
        refunded_amount: 0,
        error_code: null,
        error_description: null,
        created_at: expect.stringMatching(/^\d{4}-.*Z$/),
        updated_at: body.created_at,
      },
    })
    expect([...Value.Errors(Payment, body)]).toEqual([])
    expect(await shop.readPayment(body.id)).toEqual(body)
  })

  test.each([
    'user@paytm',
    'john.doe@okhdfcbank',
    'user_123@phonepe',
    'a-b.c_d@X1',
    '9@9',
    `${'u'.repeat(249)}@paytm`,
  ])('%s is a VPA, and is stored unchanged', async (vpa) => {
    expect(await payByUpi(vpa)).toMatchObject({ status: 201, body: { method: 'upi', vpa } })
  })

  test.each([
    'user @paytm',
    '@paytm',
    'user@@bank',
    'user@',
    'user',
    '',
    'user@pay.tm',
    'user@pay_tm',
    'user@paytm ',
    ' user@paytm',
    'user@paytm\n',
    'user@paytm\nx',
    'a@b@c',
    'us+er@paytm',
    'usér@paytm',
    'user@pаytm', // a Cyrillic letter
    'user\u0000@paytm',
    '\ud800@paytm',
    `${'u'.repeat(250)}@paytm`,
    `${'u'.repeat(100_000)}@paytm`,
  ])('%j is INVALID_VPA', async (vpa) => {
    await expectRefused({ method: 'upi', vpa }, 'INVALID_VPA', 'vpa')
  })

  test.each([[undefined], [null], [5], [['user@paytm']], [{}], [true]])(
    'a missing VPA, or %j, is BAD_REQUEST_ERROR',
    async (vpa) => {
      await expectRefused({ method: 'upi', vpa }, 'BAD_REQUEST_ERROR', 'vpa')
    },
  )
})

describe('cards', () => {
  test('respond 201 at once with network and last four digits, pending; no other card data is stored', async () => {
    const { status, body } = await payByCard()
    expect({ status, body }).toEqual({
      status: 201,
      body: {
        id: expect.stringMatching(/^pay_[A-Za-z0-9]{16}$/),
        order_id: orderId,
        amount: 50_000,
        currency: 'INR',
        method: 'card',
        card_network: 'visa',
        card_last4: '1111',
        status: 'pending',
        captured: false,
        refunded_amount: 0,
        error_code: null,
        error_description: null,
        created_at: expect.stringMatching(/^\d{4}-.*Z$/),
        updated_at: body.created_at,
      },
    })
    expect([...Value.Errors(Payment, body)]).toEqual([])
    expect(await shop.readPayment(body.id)).toEqual(body)
    const [row] = await system.database.query('SELECT * FROM payments WHERE id = $1', [body.id])
    expect(row).toMatchObject({ card_network: 'visa', card_last4: '1111', vpa: null })
    const kept = JSON.stringify(row)
    for (const secret of [goodCard.number, 'John Doe', '"123"']) expect(kept).not.toContain(secret)
  })

  test.each<readonly [network: string, number: string]>([
    ['visa', '4111111111111111'],
    ['visa', '4111 1111-1111 1111'],
    ['visa', ' 4111111111111111-'],
    ['visa', cardNumber('4', 13)],
    ['visa', cardNumber('4', 19)],
    ['mastercard', '5555555555554444'],
    ...['51', '52', '53', '54', '55', '2221', '2229', '2230', '2299', '23', '26', '270', '271', '2720'].map(
      (prefix) => ['mastercard', cardNumber(prefix)] as const,
    ),
    ...['60', '65', '81', '85', '89'].map((prefix) => ['rupay', cardNumber(prefix)] as const),
    ...['2220', '2721', '50', '56', '64', '66', '80', '90', '30', '36', '10'].map(
      (prefix) => ['unknown', cardNumber(prefix)] as const,
    ),
  ])('%s: %s', async (network, number) => {
    const last4 = number.replaceAll(/[ -]/g, '').slice(-4)
    expect(await payByCard({ number })).toMatchObject({
      status: 201,
      body: { card_network: network, card_last4: last4 },
    })
  })

  test.each(['378282246310005', cardNumber('34', 15), cardNumber('37', 15)])(
    'American Express has a code of four digits: %s',
    async (number) => {
      expect(await payByCard({ number, cvv: '1234' })).toMatchObject({
        status: 201,
        body: { card_network: 'amex', card_last4: number.slice(-4) },
      })
      await expectRefused(
        { method: 'card', card: { ...goodCard, number, cvv: '123' } },
        'BAD_REQUEST_ERROR',
        'card.cvv',
        [number],
      )
    },
  )

  test.each([
    ['a wrong check digit', '4111111111111112'],
    ['two digits swapped', '5555555555545444'],
    ['12 digits', withCheckDigit('41111111111')],
    ['20 digits', withCheckDigit('4111111111111111111')],
    ['2,000 digits', withCheckDigit(`4${'1'.repeat(1998)}`)],
    ['one repeated digit', '0000000000000000'],
    ['another repeated digit', '8888888888888888'],
    ['a letter', '411111111111111a'],
    ['another separator', '4111.1111.1111.1111'],
    ['a tab', '4111\t111111111111'],
    ['a line break', '4111111111111111\n'],
    ['full-width digits', '４１１１１１１１１１１１１１１１'],
    ['NUL', '4111111111111111\u0000'],
    ['a lone surrogate', '4111111111111111\ud800'],
    ['nothing', ''],
    ['separators only', ' - - - - - - - -'],
    ['a sign', '+4111111111111111'],
  ])('a number with %s is INVALID_CARD', async (_name, number) => {
    const typed = number.length > 10 ? [number] : []
    await expectRefused(
      { method: 'card', card: { ...goodCard, number } },
      'INVALID_CARD',
      'card.number',
      typed,
    )
  })

  test('a card that expires this month is valid', async () => {
    for (;;) {
      const current = month(0)
      const { status } = await payByCard(current)
      if (month(0).expiry_month !== current.expiry_month) continue // the month ended during the request
      expect(status).toBe(201)
      return
    }
  })

  test.each([
    ['of the next month', month(1)],
    ['of a month in two digits', { ...month(12), expiry_month: month(12).expiry_month.padStart(2, '0') }],
    ['of a year in two digits', { ...month(12), expiry_year: month(12).expiry_year.slice(2) }],
    ['far ahead', { expiry_month: '12', expiry_year: '9999' }],
  ])('a card %s is good', async (_name, expiry) => {
    expect(await payByCard(expiry)).toMatchObject({ status: 201 })
  })

  test.each([
    ['last month', month(-1)],
    ['last year', month(-12)],
    ['last month, in two digits', { ...month(-1), expiry_year: month(-1).expiry_year.slice(2) }],
    ['December of last year', { expiry_month: '12', expiry_year: String(new Date().getUTCFullYear() - 1) }],
    ['long ago', { expiry_month: '12', expiry_year: '0001' }],
  ])('a card of %s is EXPIRED_CARD', async (_name, expiry) => {
    const card = { ...goodCard, ...expiry }
    await expectRefused({ method: 'card', card }, 'EXPIRED_CARD', 'card.expiry_month', [card.number])
  })

  test.each([
    ...['number', 'expiry_month', 'expiry_year', 'cvv', 'holder_name'].flatMap((field) =>
      [undefined, null, 5, ['4111111111111111'], {}, true].map((value) => [field, value] as const),
    ),
    ...['0', '00', '13', '-1', '1.5', '012', 'May', '', ' 1'].map(
      (value) => ['expiry_month', value] as const,
    ),
    ...['3', '203', '20300', '-203', 'next', '', '2O30'].map((value) => ['expiry_year', value] as const),
    ...['12', '1234', 'abc', '12a', '', ' 123', '１２３', '12\u0000'].map((value) => ['cvv', value] as const),
    ...['', ' ', 'J'.repeat(256), 'John\u0000Doe', '\udfff'].map((value) => ['holder_name', value] as const),
  ])('card.%s may not be %j: BAD_REQUEST_ERROR', async (field, value) => {
    const card = { ...goodCard, [field]: value }
    await expectRefused({ method: 'card', card }, 'BAD_REQUEST_ERROR', `card.${field}`, [goodCard.number])
  })

  test.each([[undefined], [null], ['4111111111111111'], [[]], [4111111111111111]])(
    'a missing card, or %j, is BAD_REQUEST_ERROR',
    async (card) => {
      const { status, body } = await post({ method: 'card', card })
      expect({ status, body }).toMatchObject({ status: 400, body: { error: { code: 'BAD_REQUEST_ERROR' } } })
      expect(body.error.field).toMatch(/^card/)
      expect(JSON.stringify(body)).not.toContain('4111111111111111')
    },
  )
})

test.each([[undefined], [null], ['gateway'], ['UPI'], ['cash'], [''], [['upi']], [1]])(
  'the method is upi or card, not %j',
  async (method) => {
    await expectRefused({ method, vpa: 'user@paytm', card: goodCard }, 'BAD_REQUEST_ERROR', 'method')
  },
)

test('fields of the other method and unknown fields are ignored', async () => {
  const upi = await post({ method: 'upi', vpa: 'user@paytm', card: goodCard, amount: 1, status: 'success' })
  expect(upi).toMatchObject({ status: 201, body: { method: 'upi', amount: 50_000, status: 'pending' } })
  expect(upi.body).not.toHaveProperty('card_last4')
  const card = await post({ method: 'card', vpa: 'not a vpa', card: { ...goodCard, pin: '0000' } })
  expect(card).toMatchObject({ status: 201, body: { method: 'card', card_last4: '1111' } })
  expect(card.body).not.toHaveProperty('vpa')
})

test('each magic value is a valid card or VPA', async () => {
  for (const { method, value } of bankScenarios) {
    const response = await (method === 'card' ? payByCard({ number: value }) : payByUpi(value))
    expect({ value, status: response.status }).toEqual({ value, status: 201 })
  }
})
