// Checks of cards and VPAs. No error text contains the value that the payer typed.

export const cardNetworks = ['visa', 'mastercard', 'amex', 'rupay', 'unknown'] as const
export type CardNetwork = (typeof cardNetworks)[number]

/** A card in a request. Only its network, last four digits and scenario are stored. */
export interface CardFields {
  /** 13 to 19 digits, with spaces and dashes anywhere. */
  number: string
  /** `1` or `01` to `12`. */
  expiry_month: string
  /** `30` or `2030`. */
  expiry_year: string
  cvv: string
  holder_name: string
}

/** Why a payment method is refused. The description never contains the value, since responses and logs carry it. */
export interface MethodProblem {
  code: 'BAD_REQUEST_ERROR' | 'INVALID_CARD' | 'INVALID_VPA' | 'EXPIRED_CARD'
  /** The path in the request's body, such as `card.number`. */
  field: string
  description: string
}

const VPA_LENGTH_MAX = 255
const HOLDER_NAME_LENGTH_MAX = 255

const vpaPattern = /^[a-zA-Z0-9._-]+@[a-zA-Z0-9]+$/

/** INVALID_VPA, or undefined for a Virtual Payment Address: `user.name@bank`, at most 255 characters. */
export function vpaProblem(vpa: string): MethodProblem | undefined {
  if (vpa.length <= VPA_LENGTH_MAX && vpaPattern.test(vpa)) return undefined
  return {
    code: 'INVALID_VPA',
    field: 'vpa',
    description:
      'vpa must be letters, digits, dots, underscores or dashes, one @, then the letters or digits of ' +
      `the bank's handle, at most ${VPA_LENGTH_MAX} characters in all`,
  }
}

/** A card number without spaces and dashes. Other characters stay, and are refused later. */
export const cardDigits = (number: string): string => number.replaceAll(/[ -]/g, '')

/** Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B). */
export function isLuhnValid(digits: string): boolean {
  if (!/^[0-9]+$/.test(digits)) return false
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[index])
    const isDoubled = (digits.length - index) % 2 === 0
    sum += isDoubled ? digit * 2 - (digit > 4 ? 9 : 0) : digit
  }
  return sum % 10 === 0
}

const networkPrefixes: ReadonlyArray<[CardNetwork, RegExp]> = [
  ['visa', /^4/],
  // 51 to 55, and 2221 to 2720.
  ['mastercard', /^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/],
  ['amex', /^3[47]/],
  ['rupay', /^(60|65|8[1-9])/],
]

/** The network by the first digits (as cardDigits returns them). The number may be incomplete. */
export function detectCardNetwork(digits: string): CardNetwork {
  return networkPrefixes.find(([, prefix]) => prefix.test(digits))?.[0] ?? 'unknown'
}

/**
 * Checks of a card that do not depend on the time: INVALID_CARD for its number, BAD_REQUEST_ERROR for another field.
 * The number comes first, because its network decides the length of the CVV.
 * Undefined for a correct card; then call expiryProblem.
 */
export function cardProblem(card: CardFields): MethodProblem | undefined {
  const digits = cardDigits(card.number)
  if (!isCardNumber(digits)) {
    return {
      code: 'INVALID_CARD',
      field: 'card.number',
      description:
        'card.number must be a valid card number: 13 to 19 digits that end in the right check digit, ' +
        'optionally with spaces and dashes',
    }
  }
  if (!/^(0?[1-9]|1[0-2])$/.test(card.expiry_month)) {
    return badField('card.expiry_month', 'must be a month, 1 to 12, in one or two digits')
  }
  if (!/^([0-9]{2}|[0-9]{4})$/.test(card.expiry_year)) {
    return badField('card.expiry_year', 'must be a year in two or four digits')
  }
  const cvvLength = detectCardNetwork(digits) === 'amex' ? 4 : 3
  if (card.cvv.length !== cvvLength || !/^[0-9]+$/.test(card.cvv)) {
    return badField('card.cvv', `must be the ${cvvLength} digits of the card's security code`)
  }
  if (card.holder_name.trim() === '' || [...card.holder_name].length > HOLDER_NAME_LENGTH_MAX) {
    return badField(
      'card.holder_name',
      `must be the name on the card, at most ${HOLDER_NAME_LENGTH_MAX} characters`,
    )
  }
  return undefined
}

/** One repeated digit is refused: no bank issues such cards, although sixteen zeros have a valid check digit. */
function isCardNumber(digits: string): boolean {
  return /^[0-9]{13,19}$/.test(digits) && !/^(.)\1*$/.test(digits) && isLuhnValid(digits)
}

const badField = (field: string, rule: string): MethodProblem => ({
  code: 'BAD_REQUEST_ERROR',
  field,
  description: `${field} ${rule}`,
})

/**
 * EXPIRED_CARD when the card's month is over in UTC; a card is valid through its last month. Two-digit years
 * are 20XX. The fields must have passed cardProblem.
 */
export function expiryProblem(
  card: Pick<CardFields, 'expiry_month' | 'expiry_year'>,
  now: Date,
): MethodProblem | undefined {
  const year = Number(card.expiry_year.length === 2 ? `20${card.expiry_year}` : card.expiry_year)
  const monthsAhead = (year - now.getUTCFullYear()) * 12 + Number(card.expiry_month) - (now.getUTCMonth() + 1)
  if (monthsAhead >= 0) return undefined
  return {
    code: 'EXPIRED_CARD',
    field: 'card.expiry_month',
    description:
      'The card has expired: expiry_month and expiry_year must be the current month or a later one',
  }
}
