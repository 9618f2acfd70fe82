// Creates merchants, orders, payments and refunds for tests, through the API as merchants do.
import { randomBytes, randomUUID } from 'node:crypto'
import {
  type CallInput,
  type createClient,
  createOrder,
  createPayment,
  createRefund,
  getPayment,
  getRefund,
  type Order,
  type Payment,
  type Refund,
  type RouteContract,
} from '@sluice/contracts'
import type { TestDatabase } from './postgres.ts'
import { untilKnown } from './responses.ts'
import { waitFor } from './wait.ts'

type Call = ReturnType<typeof createClient>

/** The API keys of a merchant. */
export interface Keys extends Record<string, string> {
  'x-api-key': string
  'x-api-secret': string
}

/** The keys of the merchant that the sandbox seeds. */
export const seededKeys: Keys = { 'x-api-key': 'key_test_abc123', 'x-api-secret': 'secret_test_xyz789' }
export const SEEDED_MERCHANT_ID = '550e8400-e29b-41d4-a716-446655440000'

/** A card that is accepted, and paid in the sandbox. */
export const goodCard = {
  number: '4111111111111111',
  expiry_month: '12',
  expiry_year: '2099',
  cvv: '123',
  holder_name: 'John Doe',
}

/** Inserts another merchant into the database. */
export async function addMerchant(
  database: Pick<TestDatabase, 'query'>,
  { accounts = [] }: { accounts?: readonly string[] } = {},
): Promise<{ id: string; email: string; keys: Keys }> {
  const id = randomUUID()
  const tag = randomBytes(6).toString('hex')
  const email = `${tag}@merchant.example`
  const keys = { 'x-api-key': `key_${tag}`, 'x-api-secret': `secret_${tag}` }
  await database.query(
    'INSERT INTO merchants (id, name, email, api_key, api_secret) VALUES ($1, $2, $3, $4, $5)',
    [id, `Merchant ${tag}`, email, keys['x-api-key'], keys['x-api-secret']],
  )
  for (const account of accounts) {
    await database.query('INSERT INTO merchant_accounts (account, merchant_id) VALUES ($1, $2)', [
      account,
      id,
    ])
  }
  return { id, email, keys }
}

/** The body of a response that must have this status; otherwise the error shows the whole response. */
export function expectStatus<T extends { status: number; body: unknown }, S extends T['status']>(
  result: T,
  status: S,
): Extract<T, { status: S }>['body'] {
  if (result.status !== status) {
    throw new Error(`expected ${status}, not ${result.status}: ${JSON.stringify(result.body)}`)
  }
  return result.body as Extract<T, { status: S }>['body']
}

/** Creates and reads orders, payments and refunds of one merchant. */
export function openShop(call: Call, headers: Keys = seededKeys) {
  /** As merchants do: with an idempotency key, and sent again after a 503. */
  function create<R extends RouteContract>(route: R, input: CallInput<R>) {
    const keyed = { ...input, headers: { ...headers, 'idempotency-key': randomUUID() } }
    return untilKnown(() => call(route, keyed))
  }

  async function order(amount = 50_000, fields: { currency?: string } = {}): Promise<Order> {
    const body = { amount, currency: 'INR', notes: {}, ...fields }
    return expectStatus(await create(createOrder, { body }), 201)
  }

  /** Pays by UPI, with a VPA that sets the result of the sandbox bank. */
  async function pay(orderId: string, vpa = 'success@test'): Promise<Payment> {
    const body = { order_id: orderId, method: 'upi' as const, vpa }
    return expectStatus(await create(createPayment, { body }), 201)
  }

  async function payByCard(orderId: string, number: string): Promise<Payment> {
    const body = { order_id: orderId, method: 'card' as const, card: { ...goodCard, number } }
    return expectStatus(await create(createPayment, { body }), 201)
  }

  async function refund(paymentId: string, amount: number): Promise<Refund> {
    const input = { params: { payment_id: paymentId }, body: { amount } }
    return expectStatus(await create(createRefund, input), 201)
  }

  const readPayment = async (id: string): Promise<Payment> =>
    expectStatus(await untilKnown(() => call(getPayment, { headers, params: { payment_id: id } })), 200)

  const readRefund = async (id: string): Promise<Refund> =>
    expectStatus(await untilKnown(() => call(getRefund, { headers, params: { refund_id: id } })), 200)

  /** Waits until the payment has succeeded or failed. */
  const settled = (id: string, timeoutMs = 15_000): Promise<Payment> => {
    const readFinal = async () => {
      const payment = await readPayment(id)
      return payment.status === 'success' || payment.status === 'failed' ? payment : undefined
    }
    return waitFor(`the final status of payment ${id}`, readFinal, { timeoutMs })
  }

  const refundSettled = (id: string): Promise<Refund> =>
    waitFor(`the final status of refund ${id}`, async () => {
      const found = await readRefund(id)
      return found.status === 'pending' ? undefined : found
    })

  /** A payment that succeeded, with its order. */
  async function paid(amount = 50_000, vpa = 'success@test'): Promise<Payment> {
    const { id } = await pay((await order(amount)).id, vpa)
    const payment = await settled(id)
    if (payment.status !== 'success') throw new Error(`payment ${id} ended as ${payment.error_code}`)
    return payment
  }

  return { headers, order, pay, payByCard, refund, readPayment, readRefund, settled, refundSettled, paid }
}

export type Shop = ReturnType<typeof openShop>
