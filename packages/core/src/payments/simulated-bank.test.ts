// The simulated bank: its outcomes and delays in test mode, for magic values, and by chance.
import { bankScenarios, type ScenarioName } from '@sluice/contracts'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { BankCharge, BankRefund } from './bank.ts'
import { createSimulatedBank, type SimulatedBankOptions } from './simulated-bank.ts'

const options: SimulatedBankOptions = {
  upiSuccessRate: 0.9,
  cardSuccessRate: 0.95,
  processingDelayMs: { min: 5000, max: 10_000 },
  refundDelayMs: { min: 3000, max: 5000 },
  testMode: undefined,
}

const chargeOf = (method: BankCharge['method'], scenario: ScenarioName | null = null): BankCharge => ({
  paymentId: 'pay_0000000000000001',
  method,
  scenario,
  amount: 50_000,
  currency: 'INR',
})

const refundOf = (scenario: ScenarioName | null = null): BankRefund => ({
  refundId: 'rfnd_0000000000000001',
  paymentId: 'pay_0000000000000001',
  scenario,
  amount: 50_000,
  currency: 'INR',
})

const paymentFailed = {
  outcome: 'failed',
  errorCode: 'PAYMENT_FAILED',
  errorDescription: expect.stringMatching(/./),
}
const refundFailed = {
  outcome: 'failed',
  errorCode: 'REFUND_FAILED',
  errorDescription: expect.stringMatching(/./),
}

const almostOne = 1 - Number.EPSILON

test.each([
  ['upi', 0.9, 0.8999, 'success'],
  ['upi', 0.9, 0.9, 'failed'],
  ['upi', 0, 0, 'failed'],
  ['upi', 1, almostOne, 'success'],
  ['card', 0.95, 0.9499, 'success'],
  ['card', 0.95, 0.95, 'failed'],
  ['card', 0, 0, 'failed'],
  ['card', 1, almostOne, 'success'],
] as const)(
  'an ordinary %s payment at rate %d and chance %d ends in %s',
  async (method, rate, chance, outcome) => {
    const rates = method === 'upi' ? { upiSuccessRate: rate } : { cardSuccessRate: rate }
    const response = await createSimulatedBank({ ...options, ...rates }, () => chance).charge(
      chargeOf(method),
    )
    expect(response).toMatchObject(outcome === 'success' ? { outcome } : paymentFailed)
  },
)

test.each([
  [0, 5000, 3000],
  [0.5, 7500, 4000],
  [almostOne, 10_000, 5000],
])('chance %d settles a payment in %d ms and a refund in %d ms', async (chance, paymentMs, refundMs) => {
  const bank = createSimulatedBank(options, () => chance)
  expect((await bank.charge(chargeOf('upi'))).settlesInMs).toBe(paymentMs)
  expect((await bank.charge(chargeOf('card', 'declined'))).settlesInMs).toBe(paymentMs)
  expect((await bank.refund(refundOf())).settlesInMs).toBe(refundMs)
  // The 30 seconds apply to the payment only.
  expect((await bank.refund(refundOf('timeout'))).settlesInMs).toBe(refundMs)
})

test('delays are whole milliseconds within their range, both ends included', async () => {
  const range = fc.tuple(fc.nat(100_000), fc.nat(100_000)).map(([min, more]) => ({ min, max: min + more }))
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  await fc.assert(
    fc.asyncProperty(range, chance, async (delay, random) => {
      const bank = createSimulatedBank(
        { ...options, processingDelayMs: delay, refundDelayMs: delay },
        () => random,
      )
      for (const { settlesInMs } of [await bank.charge(chargeOf('card')), await bank.refund(refundOf())]) {
        expect(Number.isInteger(settlesInMs)).toBe(true)
        expect(settlesInMs).toBeGreaterThanOrEqual(delay.min)
        expect(settlesInMs).toBeLessThanOrEqual(delay.max)
      }
    }),
  )
})

test.each(bankScenarios)(
  '$method $value gets the response of its scenario $name, at every chance',
  async (scenario) => {
    for (const chance of [0, almostOne]) {
      const bank = createSimulatedBank(options, () => chance)
      const charge = await bank.charge(chargeOf(scenario.method, scenario.name))
      const ordinaryMs = chance === 0 ? 5000 : 10_000
      const { errorCode, errorDescription } = scenario
      expect(charge).toEqual({
        outcome: scenario.charge,
        ...(scenario.charge === 'failed' && { errorCode, errorDescription }),
        settlesInMs: scenario.delayMs ?? ordinaryMs,
      })
      const refund = await bank.refund(refundOf(scenario.name))
      expect(refund).toMatchObject(scenario.refund === 'failed' ? refundFailed : { outcome: 'success' })
    }
  },
)

test('ordinary refunds succeed at every rate and chance', async () => {
  for (const chance of [0, almostOne]) {
    const bank = createSimulatedBank({ ...options, upiSuccessRate: 0, cardSuccessRate: 0 }, () => chance)
    expect(await bank.refund(refundOf())).toMatchObject({ outcome: 'success' })
  }
})

test.each([true, false])(
  'test mode with paymentSuccess %s decides for every payment',
  async (paymentSuccess) => {
    const testMode = { paymentSuccess, processingDelayMs: 1000 }
    const bank = createSimulatedBank({ ...options, testMode })
    const scenarios = [null, ...bankScenarios.map(({ name }) => name)]
    for (const scenario of scenarios) {
      for (const method of ['upi', 'card'] as const) {
        expect(await bank.charge(chargeOf(method, scenario))).toEqual({
          ...(paymentSuccess ? { outcome: 'success' } : paymentFailed),
          settlesInMs: 1000,
        })
      }
      expect(await bank.refund(refundOf(scenario))).toEqual({
        ...(scenario === 'refundfail' ? refundFailed : { outcome: 'success' }),
        settlesInMs: 1000,
      })
    }
  },
)

test('test mode with a delay of 0 ms has none', async () => {
  const bank = createSimulatedBank({ ...options, testMode: { paymentSuccess: true, processingDelayMs: 0 } })
  expect((await bank.charge(chargeOf('upi', 'timeout'))).settlesInMs).toBe(0)
  expect((await bank.refund(refundOf())).settlesInMs).toBe(0)
})
