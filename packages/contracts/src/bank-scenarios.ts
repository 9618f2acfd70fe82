// The magic cards and VPAs of the sandbox, and the simulated bank's behaviour for each.

/** The stored name of a magic value, without card data; at most 40 characters. */
export type ScenarioName =
  | 'success'
  | 'failure'
  | 'declined'
  | 'insufficient_funds'
  | 'expired'
  | 'incorrect_cvv'
  | 'processing_error'
  | 'timeout'
  | 'refundfail'

/** The bank's behaviour for a payment and its refunds. Values with the same name behave the same. */
export type ScenarioBehaviour = {
  name: ScenarioName
  /** The delay of the charge; without it, the delay of an ordinary payment. */
  delayMs?: number
  /** Without it, refunds succeed. */
  refund?: 'failed'
} & (
  | { charge: 'success'; errorCode?: never; errorDescription?: never }
  | {
      charge: 'failed'
      errorCode: string
      /** A sentence for the payer. */
      errorDescription: string
    }
)

export type BankScenario = ScenarioBehaviour & {
  method: 'card' | 'upi'
  /** A card's digits without spaces, or a VPA in lower case. */
  value: string
  /** A sentence for the docs page. */
  description: string
}

const TIMEOUT_MS = 30_000

const failure = {
  name: 'failure',
  charge: 'failed',
  errorCode: 'PAYMENT_FAILED',
  errorDescription: "The payment was refused by the payer's bank",
} as const

export const bankScenarios: ReadonlyArray<BankScenario> = [
  {
    method: 'card',
    value: '4111111111111111',
    name: 'success',
    charge: 'success',
    description: 'The payment succeeds',
  },
  {
    method: 'card',
    value: '4000000000000002',
    name: 'declined',
    charge: 'failed',
    errorCode: 'DECLINED',
    errorDescription: 'The card was declined by its bank',
    description: 'The card is declined',
  },
  {
    method: 'card',
    value: '4000000000009995',
    name: 'insufficient_funds',
    charge: 'failed',
    errorCode: 'INSUFFICIENT_FUNDS',
    errorDescription: "The card's account has insufficient funds for this payment",
    description: 'The account has insufficient funds',
  },
  {
    method: 'card',
    value: '4000000000000069',
    name: 'expired',
    charge: 'failed',
    errorCode: 'EXPIRED',
    errorDescription: 'The card has expired according to its bank',
    description: 'The bank refuses the card as expired, for any expiry date',
  },
  {
    method: 'card',
    value: '4000000000000127',
    name: 'incorrect_cvv',
    charge: 'failed',
    errorCode: 'INCORRECT_CVV',
    errorDescription: "The card's security code (CVV) is incorrect",
    description: 'The bank refuses the CVV as incorrect, for any CVV',
  },
  {
    method: 'card',
    value: '4000000000000119',
    name: 'processing_error',
    charge: 'failed',
    errorCode: 'PROCESSING_ERROR',
    errorDescription: "The card's bank could not process the payment; try again or use another card",
    description: 'The bank cannot process the payment',
  },
  {
    method: 'upi',
    value: 'success@razorpay',
    name: 'success',
    charge: 'success',
    description: 'The payment succeeds',
  },
  { method: 'upi', value: 'failure@razorpay', ...failure, description: 'The payment fails' },
  {
    method: 'upi',
    value: 'success@test',
    name: 'success',
    charge: 'success',
    description: 'The payment succeeds',
  },
  { method: 'upi', value: 'failure@test', ...failure, description: 'The payment fails' },
  {
    method: 'upi',
    value: 'timeout@test',
    name: 'timeout',
    charge: 'success',
    delayMs: TIMEOUT_MS,
    description: `The payment succeeds after ${TIMEOUT_MS / 1000} seconds`,
  },
  {
    method: 'upi',
    value: 'refundfail@test',
    name: 'refundfail',
    charge: 'success',
    refund: 'failed',
    description: 'The payment succeeds, and the bank refuses its refunds',
  },
]

/**
 * The scenario of a card's digits (as cardDigits returns them) or of a VPA, in upper or lower case.
 * Undefined for an ordinary value, whose outcome is random.
 */
export function scenarioOf(method: BankScenario['method'], value: string): ScenarioName | undefined {
  const sought = value.toLowerCase()
  return bankScenarios.find((scenario) => scenario.method === method && scenario.value === sought)?.name
}

/**
 * The behaviour for a stored name. Undefined for an unknown or removed name: the payment is then an ordinary one.
 */
export function findScenario(name: string): ScenarioBehaviour | undefined {
  return bankScenarios.find((scenario) => scenario.name === name)
}
