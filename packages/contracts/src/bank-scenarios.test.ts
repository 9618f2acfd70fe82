// The magic values of the sandbox, and the scenario of each.
import { expect, test } from 'vitest'
import { bankScenarios, findScenario, scenarioOf } from './bank-scenarios.ts'
import { cardProblem, vpaProblem } from './payment-methods.ts'

test.each([
  ['card', '4111111111111111', 'success'],
  ['card', '4000000000000002', 'declined'],
  ['card', '4000000000009995', 'insufficient_funds'],
  ['card', '4000000000000069', 'expired'],
  ['card', '4000000000000127', 'incorrect_cvv'],
  ['card', '4000000000000119', 'processing_error'],
  ['upi', 'success@razorpay', 'success'],
  ['upi', 'failure@razorpay', 'failure'],
  ['upi', 'success@test', 'success'],
  ['upi', 'FAILURE@Test', 'failure'],
  ['upi', 'timeout@test', 'timeout'],
  ['upi', 'refundfail@test', 'refundfail'],
  ['upi', '4111111111111111', undefined],
  ['card', 'success@test', undefined],
  ['card', '5555555555554444', undefined],
  ['upi', 'success@tests', undefined],
  ['upi', 'constructor', undefined],
] as const)('%s %s is scenario %s', (method, value, name) => {
  expect(scenarioOf(method, value)).toBe(name)
})

test.each([
  ['success', { charge: 'success' }],
  ['timeout', { charge: 'success', delayMs: 30_000 }],
  ['refundfail', { charge: 'success', refund: 'failed' }],
  ['failure', { charge: 'failed', errorCode: 'PAYMENT_FAILED' }],
  ['declined', { charge: 'failed', errorCode: 'DECLINED' }],
  ['insufficient_funds', { charge: 'failed', errorCode: 'INSUFFICIENT_FUNDS' }],
  ['expired', { charge: 'failed', errorCode: 'EXPIRED' }],
  ['incorrect_cvv', { charge: 'failed', errorCode: 'INCORRECT_CVV' }],
  ['processing_error', { charge: 'failed', errorCode: 'PROCESSING_ERROR' }],
] as const)('scenario %s behaves as %j', (name, behaviour) => {
  expect(findScenario(name)).toMatchObject(behaviour)
})

test('an unknown scenario has no behaviour', () => {
  expect(['', 'retired', '__proto__', 'DECLINED'].map(findScenario)).toEqual(Array(4).fill(undefined))
})

test.each(bankScenarios)('$method $value passes the checks of payments and can be stored', (scenario) => {
  const { method, value, name } = scenario
  const card = { number: value, expiry_month: '1', expiry_year: '30', cvv: '123', holder_name: 'Asha' }
  expect(method === 'card' ? cardProblem(card) : vpaProblem(value)).toBeUndefined()
  // scenarioOf compares the value in lower case.
  expect(value).toBe(value.toLowerCase())
  expect(name).toMatch(/^[a-z_]{1,40}$/)
  if (scenario.charge === 'failed') expect(scenario.errorDescription).not.toBe('')
})

test('each value is listed once, and values of one name behave the same', () => {
  expect(new Set(bankScenarios.map(({ method, value }) => `${method} ${value}`)).size).toBe(
    bankScenarios.length,
  )
  for (const { method: _method, value: _value, description: _description, ...behaviour } of bankScenarios) {
    expect(findScenario(behaviour.name)).toMatchObject(behaviour)
    expect(findScenario(behaviour.name)?.delayMs).toBe(behaviour.delayMs)
    expect(findScenario(behaviour.name)?.refund).toBe(behaviour.refund)
  }
})
