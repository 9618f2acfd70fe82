// Merchants, orders and payments for tests of the gateway, over the API as merchants use it.
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
import { untilKnown } from './answers.ts'
import type { TestDatabase } from './postgres.ts'
import { waitFor } from './wait.ts'

type Call = ReturnType<typeof createClient>

/** What a merchant authenticates with. */
export interface Keys extends Record<string, string> {
  'x-api-key': string
  'x-api-secret': string
}

/** Of the merchant that is seeded in the sandbox. */
export const seededKeys: Keys = { 'x-api-key': 'key_test_abc123', 'x-api-secret': 'secret_test_xyz789' }
export const SEEDED_MERCHANT_ID = '550e8400-e29b-41d4-a716-446655440000'

/** Taken, and paid in the sandbox. */
export const goodCard = {
  number: '4111111111111111',
  expiry_month: '12',
  expiry_year: '2099',
  cvv: '123',
  holder_name: 'John Doe',
}

/** Another merchant, straight into the database. */
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

/** The body of an answer that must have this status; else the whole answer is told. */
export function expectStatus<T extends { status: number; body: unknown }, S extends T['status']>(
  result: T,
  status: S,
): Extract<T, { status: S }>['body'] {
  if (result.status !== status) {
    throw new Error(`expected ${status}, not ${result.status}: ${JSON.stringify(result.body)}`)
  }
  return result.body as Extract<T, { status: S }>['body']
}

/** A test's way to orders, payments and refunds of one merchant. */
export function openShop(call: Call, keys: Keys = seededKeys) {
  const headers = keys

  /** As merchants do: with a key, and sent again when the answer is "unknown, send again". */
  function create<R extends RouteContract>(route: R, input: CallInput<R>) {
    const keyed = { ...input, headers: { ...headers, 'idempotency-key': randomUUID() } }
    return untilKnown(() => call(route, keyed))
  }

  async function order(amount = 50_000, fields: { currency?: string } = {}): Promise<Order> {
    const body = { amount, currency: 'INR', notes: {}, ...fields }
    return expectStatus(await create(createOrder, { body }), 201)
  }

  /** By UPI, with a VPA that scripts the bank in the sandbox. */
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

  /** Waits for its end. */
  const settled = (id: string, timeoutMs = 15_000): Promise<Payment> => {
    const ended = async () => {
      const payment = await readPayment(id)
      return payment.status === 'success' || payment.status === 'failed' ? payment : undefined
    }
    return waitFor(`payment ${id} to end`, ended, { timeoutMs })
  }

  const refundSettled = (id: string): Promise<Refund> =>
    waitFor(`refund ${id} to end`, async () => {
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
