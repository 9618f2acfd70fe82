// What a payer pays with, reduced to what may be kept. Card data goes no further than this file.
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
  /** What a magic value scripts, in the sandbox. */
  scenario: ScenarioName | null
}

/**
 * Checks what does not depend on the time, and forgets the rest.
 * @throws INVALID_VPA, INVALID_CARD or BAD_REQUEST_ERROR, without a word of the value
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

/** Apart from the rest: a request that is sent again gets its first answer, even when the card has expired since. */
export const refuseExpired = (card: Pick<CardFields, 'expiry_month' | 'expiry_year'>, now: Date): void =>
  refuse(expiryProblem(card, now))

const missing = (field: string, method: string) =>
  badRequest({ field, description: `${field} is required where method is ${method}` })

function refuse(problem: MethodProblem | undefined): void {
  if (problem !== undefined)
    throw new SluiceError(problem.code, problem.description, { field: problem.field })
}
