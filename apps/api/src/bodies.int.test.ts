// Bodies of inbound events: any bytes get 202 or 400, amounts are exact, payloads are kept raw, errors name the field.
import net from 'node:net'
import { type ErrorBody, getTransaction } from '@sluice/contracts'
import { type TestSystem, transactionBody, untilKnown, volume } from '@sluice/testing'
import { test } from '@sluice/testing/fixtures'
import fc from 'fast-check'
import { describe, expect } from 'vitest'

describe('the body of a transaction', () => {
  let system: TestSystem
  test.beforeAll(({ system: shared }) => {
    system = shared
  })

  const send = (
    body: string | Uint8Array,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ) =>
    untilKnown(() => fetch(`${system.api.url}/v1/webhooks/transactions`, { method: 'POST', headers, body }))

  test('any JSON gets 202, or 400 with an error body', async () => {
    const field = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 120 }),
      fc.jsonValue(),
      fc.double(),
      fc.constant(undefined),
    )
    const likely = fc.record({
      transaction_id: fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }), field),
      source_account: fc.oneof({ arbitrary: fc.string({ minLength: 1, maxLength: 10 }), weight: 5 }, field),
      destination_account: fc.oneof(
        { arbitrary: fc.string({ minLength: 1, maxLength: 10 }), weight: 5 },
        field,
      ),
      amount: fc.oneof(fc.integer({ min: -1, max: 10 ** 12 }), fc.double({ min: 0, max: 1e12 }), field),
      currency: fc.oneof({ arbitrary: fc.constantFrom('INR', 'USD', 'JPY', 'KWD'), weight: 5 }, field),
    })
    const statuses = new Set<number>()
    await fc.assert(
      fc.asyncProperty(fc.oneof(likely, fc.jsonValue()), async (value) => {
        const response = await send(JSON.stringify(value) ?? '')
        statuses.add(response.status)
        expect([202, 400]).toContain(response.status)
        const body = (await response.json()) as Partial<ErrorBody>
        if (response.status === 400) expect(body.error?.code).toBe('BAD_REQUEST_ERROR')
      }),
      { numRuns: volume(1500) },
    )
    expect([...statuses].sort()).toEqual([202, 400])
  })

  test('any bytes get 202 or 400', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        expect([202, 400]).toContain((await send(bytes)).status)
      }),
      { numRuns: volume(300) },
    )
  })

  test('amounts round-trip exactly', async () => {
    const amounts = fc
      .tuple(
        fc.constantFrom(['JPY', 0], ['INR', 2], ['KWD', 3], ['CLF', 4]),
        fc.integer({ min: 1, max: 2 ** 50 }),
      )
      .map(([[currency, digits], units]) => ({
        currency: currency as string,
        amount: Number(`${units}e-${digits}`),
      }))
      .filter(({ amount }) => amount <= 999_999_999_999)
    let n = 0
    await fc.assert(
      fc.asyncProperty(amounts, async ({ currency, amount }) => {
        const id = `txn_amount_${++n}`
        const response = await send(JSON.stringify(transactionBody(id, { amount, currency })))
        expect(response.status).toBe(202)
        const params = { transaction_id: id }
        const { body } = await untilKnown(() => system.call(getTransaction, { params }))
        expect(body).toMatchObject({ amount, currency })
        const [row] = await system.database.query<{ text: string }>(
          'SELECT trim_scale(amount)::text AS text FROM transactions WHERE transaction_id = $1',
          [id],
        )
        expect(Number(row?.text)).toBe(amount)
        expect(row?.text).toBe(plainDecimal(amount))
      }),
      { numRuns: volume(300) },
    )
  })

  test('the raw payload is kept as sent, with unknown fields and escapes', async () => {
    const text = `{"transaction_id":"txn_raw","x":"\\u0000 \\ud800 \\u00e9","source_account":"a",  "destination_account":"b","amount":1.50,"currency":"INR"}`
    expect((await send(text)).status).toBe(202)
    const [row] = await system.database.query<{ payload: string }>(
      `SELECT payload FROM transactions WHERE transaction_id = 'txn_raw'`,
    )
    expect(row?.payload).toBe(text)
  })

  test('Expect: 100-continue gets 413 at once for a body that is too large, and 100 for one that fits', async () => {
    const sendExpecting = async (text: string, length: number) => {
      const { hostname, port } = new URL(system.api.url)
      const socket = net.connect(Number(port), hostname)
      socket.write(
        `POST /v1/webhooks/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`,
      )
      let received = ''
      for await (const chunk of socket) {
        received += chunk
        if (received.endsWith('100 Continue\r\n\r\n')) socket.write(text)
      }
      return { status: Number(/.*HTTP\/1\.1 (\d+)/s.exec(received)?.[1]), received }
    }
    const body = JSON.stringify(transactionBody('txn_expect'))
    const { received } = await untilKnown(() => sendExpecting(body, body.length))
    expect(received).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /)
    const refused = await sendExpecting('', 2 * 2 ** 20)
    expect(refused.received).toMatch(/^HTTP\/1\.1 413 /)
    expect(refused.received).toContain('PAYLOAD_TOO_LARGE')
  })

  const wrong: Array<[string, unknown, string]> = [
    ['a text amount', { amount: '1500' }, 'amount'],
    ['a zero amount', { amount: 0 }, 'amount'],
    ['too large an amount', { amount: 1e12 }, 'amount'],
    ['too many decimals', { amount: 1.005 }, 'amount'],
    ['decimals of a currency without', { amount: 1.5, currency: 'JPY' }, 'amount'],
    ['an unknown currency', { currency: 'XYZ' }, 'currency'],
    ['a lower-case currency', { currency: 'inr' }, 'currency'],
    ['an empty id', { transaction_id: '' }, 'transaction_id'],
    ['the id .', { transaction_id: '.' }, 'transaction_id'],
    ['the id ..', { transaction_id: '..' }, 'transaction_id'],
    ['an id of 101 characters', { transaction_id: 'x'.repeat(101) }, 'transaction_id'],
    ['a number as id', { transaction_id: 5 }, 'transaction_id'],
    ['NUL in an id', { transaction_id: 'a\u0000b' }, 'transaction_id'],
    ['a lone surrogate', { source_account: '\ud800' }, 'source_account'],
    ['an empty account', { destination_account: '' }, 'destination_account'],
    ['the account .', { source_account: '.' }, 'source_account'],
    ['the account ..', { destination_account: '..' }, 'destination_account'],
    ['a missing field', { destination_account: undefined }, 'destination_account'],
    ['null', { currency: null }, 'currency'],
  ]
  test.each(wrong)('%s is 400 and names the field', async (_name, fields, field) => {
    const response = await send(JSON.stringify(transactionBody('txn_wrong', fields as never)))
    expect(response.status).toBe(400)
    const { error } = (await response.json()) as ErrorBody
    expect(error).toMatchObject({ code: 'BAD_REQUEST_ERROR', field, request_id: expect.any(String) })
    expect(error.description).toContain(field)
  })
})

/** A double as a plain decimal, without an exponent. */
const plainDecimal = (value: number) =>
  /e/.test(String(value)) ? value.toFixed(4).replace(/0+$/, '') : String(value)
