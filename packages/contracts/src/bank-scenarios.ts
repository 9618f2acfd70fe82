// The magic cards and VPAs of the sandbox: what its simulated bank does with each of them.

/** What stands for a magic value once the card's data is gone; stored as such, at most 40 characters. */
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

/** What the bank does with a payment and its refunds. The same for every value of a name. */
export type ScenarioBehaviour = {
  name: ScenarioName
  /** How long the bank takes for the charge; absent: as long as for any other payment. */
  delayMs?: number
  /** Absent: refunds succeed. */
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
  /** What happens, for the docs page. */
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
    description: 'The bank says that the card has expired, whatever the date given',
  },
  {
    method: 'card',
    value: '4000000000000127',
    name: 'incorrect_cvv',
    charge: 'failed',
    errorCode: 'INCORRECT_CVV',
    errorDescription: "The card's security code (CVV) is incorrect",
    description: 'The bank says that the CVV is incorrect, whatever the CVV given',
  },
  {
    method: 'card',
    value: '4000000000000119',
    name: 'processing_error',
    charge: 'failed',
    errorCode: 'PROCESSING_ERROR',
    errorDescription: "The card's bank could not process the payment; try again or use another card",
    description: 'The bank fails to process the payment',
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
 * Undefined for an ordinary value, whose outcome is left to chance.
 */
export function scenarioOf(method: BankScenario['method'], value: string): ScenarioName | undefined {
  const sought = value.toLowerCase()
  return bankScenarios.find((scenario) => scenario.method === method && scenario.value === sought)?.name
}

/**
 * What the bank does for a stored name. Undefined when there is no such name (any more): the payment is then
 * an ordinary one and still ends.
 */
export function findScenario(name: string): ScenarioBehaviour | undefined {
  return bankScenarios.find((scenario) => scenario.name === name)
}
