// Currencies and amounts: which codes are real, how many decimals they have, and whether a major-unit amount is exact in them.
import { data } from 'currency-codes'
import { AMOUNT_MAX } from './fields.ts'

/** Codes that ISO 4217 added after the table's last release (amendments 176 and 177). */
const newerThanTable: ReadonlyArray<[string, number]> = [
  ['XCG', 2],
  ['ZWG', 2],
]

const decimalsByCode: ReadonlyMap<string, number> = new Map([
  ...data.map(({ code, digits }): [string, number] => [code, digits]),
  ...newerThanTable,
])

/** The decimals of an ISO 4217 currency (JPY 0, USD 2, KWD 3); undefined when there is no such code. */
export const currencyDecimals = (code: string): number | undefined => decimalsByCode.get(code)

export interface FieldProblem {
  field: string
  description: string
}

/** Undefined when it is a real ISO 4217 code. */
export function currencyProblem(currency: string): FieldProblem | undefined {
  if (decimalsByCode.has(currency)) return undefined
  return {
    field: 'currency',
    description: `currency must be an ISO 4217 code in upper case, such as "INR"; "${currency}" is none`,
  }
}

/**
 * Checks an amount in major units (a JSON number, as `1500` or `150.5`) against its currency: real code, more than
 * zero, at most 999,999,999,999, and no more decimals than the currency has. Undefined when all is well.
 */
export function majorAmountProblem(amount: number, currency: string): FieldProblem | undefined {
  const decimals = currencyDecimals(currency)
  if (decimals === undefined) return currencyProblem(currency)
  if (!(amount > 0 && amount <= AMOUNT_MAX)) {
    return {
      field: 'amount',
      description: `amount must be a number greater than 0 and at most ${AMOUNT_MAX}`,
    }
  }
  if (decimalPlaces(amount) > decimals) {
    return {
      field: 'amount',
      description: `amount must have at most ${decimals} decimal places in ${currency}`,
    }
  }
  return undefined
}

/** Decimal places of a number's shortest decimal form, which is what JSON sent (1e-7 has 7, 150.50 has 1). */
function decimalPlaces(amount: number): number {
  if (Number.isInteger(amount)) return 0
  const text = String(amount)
  const exponent = text.indexOf('e-')
  if (exponent !== -1) return Number(text.slice(exponent + 2)) + Math.max(0, exponent - 2)
  return text.length - text.indexOf('.') - 1
}
