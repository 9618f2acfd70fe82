// Checks of cards and VPAs.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type CardFields,
  cardDigits,
  cardProblem,
  detectCardNetwork,
  expiryProblem,
  isLuhnValid,
  vpaProblem,
} from './payment-methods.ts'

const goodCard: CardFields = {
  number: '4111 1111-1111 1111',
  expiry_month: '12',
  expiry_year: '2030',
  cvv: '123',
  holder_name: 'Asha Rao',
}

const checkDigitOf = (digits: string) => '0123456789'.split('').find((digit) => isLuhnValid(digits + digit))!

const digitsOf = (length: { minLength: number; maxLength: number }) =>
  fc.array(fc.integer({ min: 0, max: 9 }), length).map((digits) => digits.join(''))

const cardNumber = digitsOf({ minLength: 12, maxLength: 18 })
  .filter((digits) => new Set(digits).size > 1)
  .map((digits) => digits + checkDigitOf(digits))

test.each(['user@paytm', 'john.doe@okhdfcbank', 'user_123@phonepe', '-@1', `${'a'.repeat(249)}@paytm`])(
  '%s is a VPA',
  (vpa) => {
    expect(vpaProblem(vpa)).toBeUndefined()
  },
)

test.each([
  '',
  'user @paytm',
  '@paytm',
  'user@@bank',
  'user@',
  'user',
  'user@ok.bank',
  'user@paytm\n',
  '\nuser@paytm',
  'user@paytm\nuser@paytm',
  'usér@paytm',
  `${'a'.repeat(250)}@paytm`,
])('%j is not a VPA', (vpa) => {
  expect(vpaProblem(vpa)).toMatchObject({ code: 'INVALID_VPA', field: 'vpa' })
})

test.each([
  ['4111111111111111', 'visa'],
  ['4222222222222', 'visa'],
  ['5555555555554444', 'mastercard'],
  ['2223003122003222', 'mastercard'],
  ['378282246310005', 'amex'],
  ['341111111111111', 'amex'],
  ['6074820000000009', 'rupay'],
  ['6521111111111110', 'rupay'],
  ['8100000000000002', 'rupay'],
  ['30569309025904', 'unknown'],
  ['3530111333300000', 'unknown'],
])('the test number %s is a valid card of network %s', (number, network) => {
  expect(detectCardNetwork(number)).toBe(network)
  expect(cardProblem({ ...goodCard, number, cvv: network === 'amex' ? '1234' : '123' })).toBeUndefined()
})

test('Mastercard is exactly 51 to 55 and 2221 to 2720, RuPay exactly 60, 65 and 81 to 89', () => {
  for (let prefix = 1000; prefix <= 9999; prefix++) {
    const firstTwo = Math.floor(prefix / 100)
    const network = detectCardNetwork(`${prefix}000000000000`)
    const isMastercard = (firstTwo >= 51 && firstTwo <= 55) || (prefix >= 2221 && prefix <= 2720)
    expect(network === 'mastercard', `${prefix}`).toBe(isMastercard)
    const isRupay = firstTwo === 60 || firstTwo === 65 || (firstTwo >= 81 && firstTwo <= 89)
    expect(network === 'rupay', `${prefix}`).toBe(isRupay)
  }
})

test('cardDigits strips spaces and dashes and nothing else', () => {
  expect(cardDigits(' 4111-1111 1111--1111 ')).toBe('4111111111111111')
  expect(cardDigits('4111\t1111_1111.1111')).toBe('4111\t1111_1111.1111')
})

test('changing one digit breaks a Luhn number', () => {
  fc.assert(
    fc.property(cardNumber, fc.nat(), fc.integer({ min: 1, max: 9 }), (number, at, difference) => {
      const index = at % number.length
      const changed = (Number(number[index]) + difference) % 10
      expect(isLuhnValid(number)).toBe(true)
      expect(isLuhnValid(number.slice(0, index) + changed + number.slice(index + 1))).toBe(false)
    }),
  )
})

test.each(['', ' ', '-', 'abc', '0x10', '1e1', '-18', '18\n', '١٨'])('%j is no Luhn number', (text) => {
  expect(isLuhnValid(text)).toBe(false)
})

test('each card number of 13 to 19 digits with its check digit is accepted, with any spaces', () => {
  fc.assert(
    fc.property(cardNumber, fc.constantFrom('', ' ', '-', ' - '), (number, separator) => {
      const cvv = detectCardNetwork(number) === 'amex' ? '1234' : '123'
      const spaced = number.match(/.{1,4}/g)!.join(separator)
      expect(cardProblem({ ...goodCard, number: spaced, cvv })).toBeUndefined()
    }),
  )
})

test.each([
  ['empty', ''],
  ['nothing but spaces', '    '],
  ['a wrong check digit', '4111111111111112'],
  ['12 digits', '411111111116'],
  ['20 digits', '41111111111111111116'],
  ['a letter', '4111 1111 1111 111a'],
  ['dots', '4111.1111.1111.1111'],
  ['a newline', '4111111111111111\n'],
  ['a no-break space', '4111\u00a0111111111111'],
  ['full-width digits', '４１１１１１１１１１１１１１１１'],
  ['Arabic digits', '٤١١١١١١١١١١١١١١١'],
  ['zeros only', '0000000000000000'],
  ['eights only', '888888888888888'],
])('a card number that is or has %s is INVALID_CARD', (_what, number) => {
  expect(cardProblem({ ...goodCard, number })).toMatchObject({ code: 'INVALID_CARD', field: 'card.number' })
})

test.each<[Partial<CardFields>]>([
  [{ expiry_month: '1' }],
  [{ expiry_month: '09' }],
  [{ expiry_year: '30' }],
  // Whether a date is over is expiryProblem's question.
  [{ expiry_year: '1999' }],
  [{ holder_name: 'x'.repeat(255) }],
  [{ number: '378282246310005', cvv: '0000' }],
])('a card with %j is well formed', (fields) => {
  expect(cardProblem({ ...goodCard, ...fields })).toBeUndefined()
})

test.each<[keyof CardFields, string, Partial<CardFields>?]>([
  ['expiry_month', ''],
  ['expiry_month', '0'],
  ['expiry_month', '00'],
  ['expiry_month', '13'],
  ['expiry_month', '012'],
  ['expiry_month', '1.'],
  ['expiry_month', ' 1'],
  ['expiry_month', '1\n'],
  ['expiry_month', '١'],
  ['expiry_year', ''],
  ['expiry_year', '3'],
  ['expiry_year', '203'],
  ['expiry_year', '20300'],
  ['expiry_year', '-1'],
  ['expiry_year', '2e'],
  ['expiry_year', '30\n'],
  ['cvv', ''],
  ['cvv', '12'],
  ['cvv', '1234'],
  ['cvv', '12a'],
  ['cvv', '12\n'],
  ['cvv', '123\n'],
  ['cvv', '123', { number: '378282246310005' }],
  ['holder_name', ''],
  ['holder_name', ' \t'],
  ['holder_name', 'x'.repeat(256)],
])('%s %j is a BAD_REQUEST_ERROR of that field', (field, value, others = {}) => {
  expect(cardProblem({ ...goodCard, ...others, [field]: value })).toMatchObject({
    code: 'BAD_REQUEST_ERROR',
    field: `card.${field}`,
  })
})

test.each([
  ['3', '2026', '2026-03-31T23:59:59.999Z', true],
  ['03', '26', '2026-03-31T23:59:59.999Z', true],
  ['3', '2026', '2026-04-01T00:00:00.000Z', false],
  ['03', '26', '2026-04-01T00:00:00.000Z', false],
  ['12', '25', '2026-01-01T00:00:00.000Z', false],
  ['1', '26', '2025-12-31T23:59:59.999Z', true],
  ['1', '99', '2026-01-01T00:00:00.000Z', true],
  ['1', '00', '2026-01-01T00:00:00.000Z', false],
  ['1', '0026', '2026-01-01T00:00:00.000Z', false],
  ['12', '9999', '2026-01-01T00:00:00.000Z', true],
])('a card of %s/%s at %s is good: %s', (expiry_month, expiry_year, now, isGood) => {
  const problem = expiryProblem({ expiry_month, expiry_year }, new Date(now))
  expect(problem?.code).toBe(isGood ? undefined : 'EXPIRED_CARD')
})

test('no text makes a check throw or appears in its description', () => {
  // Twelve characters that a description could only have by repeating them.
  const text = fc
    .string({ unit: 'binary', maxLength: 300 })
    .map((arbitrary) => `${arbitrary}\u0007${'9'.repeat(11)}`)
  const now = new Date('2026-01-01T00:00:00Z')
  fc.assert(
    fc.property(
      text,
      fc.constantFrom(...(Object.keys(goodCard) as Array<keyof CardFields>)),
      (value, field) => {
        const card = { ...goodCard, [field]: value }
        detectCardNetwork(cardDigits(value))
        const problems = [vpaProblem(value), cardProblem(card), expiryProblem(card, now)]
        for (const problem of problems) {
          expect(JSON.stringify(problem) ?? '').not.toContain('9999')
        }
      },
    ),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (value, other) => {
      for (const field of Object.keys(goodCard)) {
        const descriptionOf = (text: string) => cardProblem({ ...goodCard, [field]: text })?.description
        const [one, another] = [descriptionOf(value), descriptionOf(other)]
        if (one !== undefined && another !== undefined) expect(one).toBe(another)
      }
    }),
  )
})
