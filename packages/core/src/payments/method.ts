// The payment method, reduced to what may be stored. Card data does not leave this file.
import {
  type CardFields,
  type CardNetwork,
  cardDigits,
  cardProblem,
  detectCardNetwork,
  expiryProblem,
  type MethodProblem,
  type PaymentRequest,
  type ScenarioName,
  scenarioOf,
  vpaProblem,
} from '@sluice/contracts'
import { badRequest, SluiceError } from '../platform/errors.ts'

export interface ReducedMethod {
  method: 'upi' | 'card'
  vpa: string | null
  cardNetwork: CardNetwork | null
  cardLast4: string | null
  /** The script of a magic value, in the sandbox. */
  scenario: ScenarioName | null
}

/**
 * Checks what does not depend on the time, and drops all card data that may not be stored.
 * @throws INVALID_VPA, INVALID_CARD or BAD_REQUEST_ERROR; no error contains the value
 */
export function reduceMethod(request: PaymentRequest, { sandbox }: { sandbox: boolean }): ReducedMethod {
  const scenario = (value: string) => (sandbox ? (scenarioOf(request.method, value) ?? null) : null)
  switch (request.method) {
    case 'upi': {
      const { vpa } = request
      if (vpa === undefined) throw missing('vpa', 'upi')
      refuse(vpaProblem(vpa))
      return { method: 'upi', vpa, cardNetwork: null, cardLast4: null, scenario: scenario(vpa) }
    }
    case 'card': {
      const { card } = request
      if (card === undefined) throw missing('card', 'card')
      refuse(cardProblem(card))
      const digits = cardDigits(card.number)
      return {
        method: 'card',
        vpa: null,
        cardNetwork: detectCardNetwork(digits),
        cardLast4: digits.slice(-4),
        scenario: scenario(digits),
      }
    }
  }
}

/** Runs after the idempotency key: a repeated request gets its first response, even after the card has expired. */
export const refuseExpired = (card: Pick<CardFields, 'expiry_month' | 'expiry_year'>, now: Date): void =>
  refuse(expiryProblem(card, now))

const missing = (field: string, method: string) =>
  badRequest({ field, description: `${field} is required when method is ${method}` })

function refuse(problem: MethodProblem | undefined): void {
  if (problem !== undefined)
    throw new SluiceError(problem.code, problem.description, { field: problem.field })
}
