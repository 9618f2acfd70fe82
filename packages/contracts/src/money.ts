// Currencies and amounts: the ISO 4217 codes with their decimals, and the check of major-unit amounts.
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

/** The decimals of an ISO 4217 currency (JPY 0, USD 2, KWD 3); undefined for an unknown code. */
export const currencyDecimals = (code: string): number | undefined => decimalsByCode.get(code)

export interface FieldProblem {
  field: string
  description: string
}

/** Undefined for an ISO 4217 code. */
export function currencyProblem(currency: string): FieldProblem | undefined {
  if (decimalsByCode.has(currency)) return undefined
  return {
    field: 'currency',
    description: `currency must be an ISO 4217 code in upper case, such as "INR"; "${currency}" is not`,
  }
}

/**
 * Checks an amount in major units (a JSON number, such as `1500` or `150.5`) against its currency. The code must exist,
 * the amount must be in range and have at most the currency's decimals. Undefined for a correct amount.
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

/** Decimal places of a number's shortest decimal form (1e-7 has 7, 150.50 has 1). */
function decimalPlaces(amount: number): number {
  if (Number.isInteger(amount)) return 0
  const text = String(amount)
  const exponent = text.indexOf('e-')
  if (exponent !== -1) return Number(text.slice(exponent + 2)) + Math.max(0, exponent - 2)
  return text.length - text.indexOf('.') - 1
}
