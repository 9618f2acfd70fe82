// The bank of the sandbox: test mode, then magic values, then chance decide what it answers.
import { findScenario, type ScenarioBehaviour, type ScenarioName } from '@sluice/contracts'
import type { BankAnswer, ChargeRequest, PaymentProcessor, RefundRequest } from './processor.ts'

/** Both ends are included. */
interface DelayRange {
  min: number
  max: number
}

export interface SimulatedBankOptions {
  /** The share of ordinary UPI payments that succeed, 0 to 1. */
  upiSuccessRate: number
  /** The share of ordinary card payments that succeed, 0 to 1. */
  cardSuccessRate: number
  processingDelayMs: DelayRange
  refundDelayMs: DelayRange
  /** For automated tests: one outcome for every payment, one delay for payments and refunds. */
  testMode: { paymentSuccess: boolean; processingDelayMs: number } | undefined
}

const paymentFailed = {
  outcome: 'failed',
  errorCode: 'PAYMENT_FAILED',
  errorDescription: "The payment was refused by the payer's bank",
} as const

const refundFailed = {
  outcome: 'failed',
  errorCode: 'REFUND_FAILED',
  errorDescription: 'The refund was refused by the bank',
} as const

const success = { outcome: 'success' } as const

/**
 * A bank that moves no money and remembers nothing: asked again with the same id, it may answer differently,
 * which is harmless because only a stored answer counts. `random` gives numbers from 0 to below 1.
 */
export function createSimulatedBank(
  options: SimulatedBankOptions,
  random: () => number = Math.random,
): PaymentProcessor {
  const { testMode } = options

  const charge = (request: ChargeRequest): BankAnswer => {
    if (testMode) {
      return {
        ...(testMode.paymentSuccess ? success : paymentFailed),
        settlesInMs: testMode.processingDelayMs,
      }
    }
    const scenario = scenarioFor(request.scenario)
    return {
      ...(scenario ? scriptedOutcome(scenario) : outcomeByChance(request.method)),
      settlesInMs: scenario?.delayMs ?? delayWithin(options.processingDelayMs, random),
    }
  }

  const refund = (request: RefundRequest): BankAnswer => ({
    // Test mode has no say in refunds, so that their failure can be tried in it too.
    ...(scenarioFor(request.scenario)?.refund === 'failed' ? refundFailed : success),
    settlesInMs: testMode?.processingDelayMs ?? delayWithin(options.refundDelayMs, random),
  })

  const outcomeByChance = (method: ChargeRequest['method']) => {
    const successRate = method === 'upi' ? options.upiSuccessRate : options.cardSuccessRate
    return random() < successRate ? success : paymentFailed
  }

  return {
    charge: async (request) => charge(request),
    refund: async (request) => refund(request),
  }
}

const scenarioFor = (name: ScenarioName | null): ScenarioBehaviour | undefined =>
  name === null ? undefined : findScenario(name)

function scriptedOutcome(scenario: ScenarioBehaviour) {
  if (scenario.charge === 'success') return success
  const { errorCode, errorDescription } = scenario
  return { outcome: 'failed', errorCode, errorDescription } as const
}

/** Whole milliseconds, each as likely as any other. */
const delayWithin = ({ min, max }: DelayRange, random: () => number): number =>
  min + Math.floor(random() * (max - min + 1))
