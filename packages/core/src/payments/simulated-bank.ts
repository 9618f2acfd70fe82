// The simulated bank: test mode decides its response, then magic values, then chance.
import { findScenario, type ScenarioBehaviour, type ScenarioName } from '@sluice/contracts'
import type { DelayRange } from '../platform/env-reader.ts'
import type { Bank, BankCharge, BankRefund, BankResponse } from './bank.ts'

export interface SimulatedBankOptions {
  /** The share of ordinary UPI payments that succeed, 0 to 1. */
  upiSuccessRate: number
  /** The share of ordinary card payments that succeed, 0 to 1. */
  cardSuccessRate: number
  processingDelayMs: DelayRange
  refundDelayMs: DelayRange
  /** For automated tests: one outcome for all payments, one delay for payments and refunds. */
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
 * A bank that moves no money and stores nothing. A repeated call with the same id may get another response, which is
 * harmless because only the stored response counts. `random` returns numbers from 0 to below 1.
 */
export function createSimulatedBank(options: SimulatedBankOptions, random: () => number = Math.random): Bank {
  const { testMode } = options

  const charge = (request: BankCharge): BankResponse => {
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

  const refund = (request: BankRefund): BankResponse => ({
    // Test mode does not decide refunds, so that testers can script their failure too.
    ...(scenarioFor(request.scenario)?.refund === 'failed' ? refundFailed : success),
    settlesInMs: testMode?.processingDelayMs ?? delayWithin(options.refundDelayMs, random),
  })

  const outcomeByChance = (method: BankCharge['method']) => {
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

/** Whole milliseconds, equally distributed. */
const delayWithin = ({ min, max }: DelayRange, random: () => number): number =>
  min + Math.floor(random() * (max - min + 1))
