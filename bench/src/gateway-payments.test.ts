// Tests of the gateway's load: valid requests of both methods, ids in the gateway's format, and keys.
import { cardProblem, expiryProblem, scenarioOf, vpaProblem } from '@sluice/contracts'
import { expect, test } from 'vitest'
import { countKeyed, orderId, paymentHeaders, paymentRequest } from './gateway-payments.ts'
import { newRun } from './ids.ts'

const NUMBERS = Array.from({ length: 2000 }, (_, n) => n)
const requests = NUMBERS.map((n) => paymentRequest('run00000', n))

test('all requests are valid, and no magic value decides their outcome', () => {
  for (const { method, vpa, card } of requests) {
    if (card !== undefined) {
      expect(cardProblem(card)).toBeUndefined()
      expect(expiryProblem(card, new Date())).toBeUndefined()
    } else expect(vpaProblem(vpa!)).toBeUndefined()
    expect(scenarioOf(method, card?.number ?? vpa!)).toBeUndefined()
  }
})

test('half of the payments are by card', () => {
  expect(requests.filter(({ card }) => card !== undefined)).toHaveLength(NUMBERS.length / 2)
})

test("each payment has an order of its own, with an id in the gateway's format", () => {
  const ids = new Set(requests.map(({ order_id }) => order_id))
  expect(ids.size).toBe(NUMBERS.length)
  for (const n of NUMBERS) expect(orderId(newRun(), n)).toMatch(/^order_[A-Za-z0-9]{16}$/)
})

test('a quarter of the requests of each method have an idempotency key of their own', () => {
  const keyed = NUMBERS.filter((n) => paymentHeaders('run00000', n)['idempotency-key'] !== undefined)
  expect(keyed).toHaveLength(NUMBERS.length / 4)
  expect(keyed.filter((n) => requests[n]!.method === 'upi')).toHaveLength(keyed.length / 2)
  expect(new Set(keyed.map((n) => paymentHeaders('run00000', n)['idempotency-key'])).size).toBe(keyed.length)
  expect(countKeyed(NUMBERS)).toBe(keyed.length)
})
