// SPEC 3 against a running API and worker, on both queue backends.
import {
  type Accepted,
  type ErrorBody,
  getTransaction,
  listConflicts,
  listTransactions,
  postTransaction,
} from '@sluice/contracts'
import { queueBackends, startSystem, type TestSystem, transactionBody, waitFor } from '@sluice/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

const DELAY_MS = 1000

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`transactions, with the queue on ${backend}`, () => {
    let system: TestSystem
    beforeAll(async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend })
    })
    afterAll(() => system?.stop())

    const post = (body: unknown) => system.call(postTransaction, { body: body as never })
    const read = (transaction_id: string) => system.call(getTransaction, { params: { transaction_id } })
    const processed = (transactionId: string) =>
      waitFor(`${transactionId} to be processed`, async () => {
        const { body } = await read(transactionId)
        return 'status' in body && body.status === 'PROCESSED' ? body : undefined
      })

    test('a transaction is PROCESSING at once and PROCESSED within a second of its time, once', async () => {
      const body = transactionBody('txn_first', { amount: 150.5, currency: 'USD' })
      expect(await post(body)).toMatchObject({
        status: 202,
        body: { message: 'Accepted', transaction_id: 'txn_first' },
      })
      const first = await read('txn_first')
      expect(first.body).toEqual({
        ...body,
        status: 'PROCESSING',
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        processed_at: null,
      })
      const done = await processed('txn_first')
      const lateMs = Date.parse(done.processed_at!) - Date.parse(done.created_at) - DELAY_MS
      expect(lateMs).toBeGreaterThanOrEqual(0)
      expect(lateMs).toBeLessThan(1000)
      expect((await post(body)).body).toMatchObject({ duplicate: true })
      expect((await read('txn_first')).body).toEqual(done)
    })

    test('100 concurrent deliveries of one id make one row, processed once', async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, () => post(transactionBody('txn_100'))))
      expect(answers.map((answer) => answer.status)).toEqual(Array(100).fill(202))
      expect(answers.filter((answer) => !('duplicate' in answer.body))).toHaveLength(1)
      expect(answers.filter((answer) => 'conflict' in answer.body)).toHaveLength(0)
      await processed('txn_100')
      expect(
        await system.database.query(`SELECT 1 FROM transactions WHERE transaction_id = 'txn_100'`),
      ).toHaveLength(1)
      expect((await system.endings()).find((row) => row.transaction_id === 'txn_100')).toMatchObject({
        times: 1,
      })
    })

    const oddIds = [
      '12345',
      '0',
      'a:b:c',
      ':',
      'with space',
      ' ',
      'slash/and\\back',
      '100%',
      '%2F',
      '%',
      '?a=b&c#d',
      '...',
      '🧾'.repeat(100),
      'é̂',
      '__proto__',
      'constructor',
      'null',
      '"quoted"',
      "it's",
      '{a,b}',
      '\n\t',
      '-1',
      'ünïcödé',
      '‮rtl',
      'x'.repeat(100),
    ]
    test.each(oddIds)('the odd id %j goes the whole way', async (id) => {
      expect(await post(transactionBody(id))).toMatchObject({ status: 202, body: { transaction_id: id } })
      expect(await processed(id)).toMatchObject({ transaction_id: id })
      expect((await post(transactionBody(id))).body).toMatchObject({ duplicate: true })
    })

    test('the list is newest first, in pages, with a total', async () => {
      for (const n of [1, 2, 3]) await post(transactionBody(`txn_list_${n}`))
      const first = await system.call(listTransactions, { query: { limit: 2 } })
      const second = await system.call(listTransactions, { query: { limit: 2, offset: 2 } })
      expect(first).toMatchObject({
        status: 200,
        body: {
          limit: 2,
          offset: 0,
          data: [{ transaction_id: 'txn_list_3' }, { transaction_id: 'txn_list_2' }],
        },
      })
      expect(second.body).toMatchObject({ data: [{ transaction_id: 'txn_list_1' }, expect.anything()] })
      const [{ count }] = (await system.database.query('SELECT count(*)::int FROM transactions')) as [
        { count: number },
      ]
      expect(second.body).toMatchObject({ total: count })
    })
  })
}

describe('redeliveries that contradict', () => {
  let system: TestSystem
  beforeAll(async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
  })
  afterAll(() => system?.stop())

  const post = (body: unknown, text = JSON.stringify(body)) =>
    fetch(`${system.api.url}/v1/webhooks/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: text,
    }).then(async (response) => ({
      status: response.status,
      body: (await response.json()) as Partial<Accepted>,
    }))
  const conflictsOf = async (id: string) => {
    const { body } = await system.call(listConflicts, { query: { limit: 100 } })
    return 'data' in body ? body.data.filter((conflict) => conflict.id === id) : []
  }

  test('each contract field counts, as a parsed value', async () => {
    const first = transactionBody('txn_c1', { amount: 100 })
    await post(first)
    for (const change of [
      { source_account: 'x' },
      { destination_account: 'x' },
      { amount: 100.5 },
      { currency: 'USD' },
    ]) {
      expect(await post({ ...first, ...change })).toEqual({
        status: 202,
        body: { message: 'Accepted', transaction_id: 'txn_c1', duplicate: true, conflict: true },
      })
    }
    expect(await conflictsOf('txn_c1')).toHaveLength(4)
    expect((await system.call(getTransaction, { params: { transaction_id: 'txn_c1' } })).body).toMatchObject(
      first,
    )
  })

  test('order, white space, unknown fields and the spelling of a number do not count', async () => {
    await post(transactionBody('txn_c2', { amount: 150.5 }))
    const same = `{ "extra":{"a":[1]}, "currency":"INR","amount":1505e-1,\n"destination_account":"acc_merchant_456","source_account":"acc_user_789","transaction_id":"txn_c2"}`
    expect((await post(undefined, same)).body).toEqual({
      message: 'Accepted',
      transaction_id: 'txn_c2',
      duplicate: true,
    })
    expect(await conflictsOf('txn_c2')).toEqual([])
  })

  test('within one commit the first to arrive wins, and the others are told', async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        post(transactionBody('txn_c3', { amount: n % 2 === 0 ? 10 : 20 })),
      ),
    )
    const { body } = await system.call(getTransaction, { params: { transaction_id: 'txn_c3' } })
    expect(answers.filter(({ body }) => body.conflict).length).toBe(15)
    expect(answers.filter(({ body }) => body.duplicate).length).toBe(29)
    expect('amount' in body && [10, 20]).toContain((body as { amount: number }).amount)
  })

  test('one row for each distinct body, counted, at most 20, under concurrency too', async () => {
    await post(transactionBody('txn_c4', { amount: 1 }))
    const amounts = Array.from({ length: 40 }, (_, n) => n + 2)
    await Promise.all(
      [...amounts, ...amounts, ...amounts].map((amount) => post(transactionBody('txn_c4', { amount }))),
    )
    const conflicts = await conflictsOf('txn_c4')
    expect(conflicts).toHaveLength(20)
    // A known body is counted however many there are: send one of the kept ones again.
    const kept = conflicts[0]!
    await post(undefined, kept.payload!)
    expect((await conflictsOf('txn_c4')).find(({ payload }) => payload === kept.payload)).toMatchObject({
      deliveries: kept.deliveries + 1,
    })
  })

  test('a row that somebody holds locked delays nobody else', async () => {
    await post(transactionBody('txn_locked', { amount: 1 }))
    const session = await system.database.session()
    await session.query('BEGIN')
    await session.query(`SELECT 1 FROM transactions WHERE transaction_id = 'txn_locked' FOR UPDATE`)
    const contradicting = Array.from({ length: 5 }, (_, n) => {
      const startedAt = Date.now()
      return post(transactionBody('txn_locked', { amount: n + 2 })).then(({ status }) => ({
        status,
        ms: Date.now() - startedAt,
      }))
    })
    const others = Array.from({ length: 50 }, (_, n) => post(transactionBody(`txn_free_${n}`)))
    expect((await Promise.all(others)).map(({ status }) => status)).toEqual(Array(50).fill(202))
    for (const { status, ms } of await Promise.all(contradicting)) {
      expect(status).toBe(503)
      expect(ms).toBeLessThan(1000)
    }
    await session.query('COMMIT')
    await session.end()
    expect((await post(transactionBody('txn_locked', { amount: 2 }))).body).toMatchObject({ conflict: true })
  })

  test('conflicts are counted in the metrics and logged', async () => {
    const text = await (await fetch(`${system.api.url}/metrics`)).text()
    expect(text).toMatch(/sluice_ingested_total\{kind="transaction",outcome="conflict"\} [1-9]/)
    expect(system.api.output()).toContain('a redelivery contradicts the first delivery')
  })
})

describe('whatever is posted', () => {
  let system: TestSystem
  beforeAll(async () => {
    system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
  })
  afterAll(() => system?.stop())

  const send = (
    body: string | Uint8Array,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ) => fetch(`${system.api.url}/v1/webhooks/transactions`, { method: 'POST', headers, body })

  test('any JSON is answered 202 or 400, in the error’s shape', async () => {
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
    const seen = new Set<number>()
    await fc.assert(
      fc.asyncProperty(fc.oneof(likely, fc.jsonValue()), async (value) => {
        const response = await send(JSON.stringify(value) ?? '')
        seen.add(response.status)
        expect([202, 400]).toContain(response.status)
        const body = (await response.json()) as Partial<ErrorBody>
        if (response.status === 400) expect(body.error?.code).toBe('BAD_REQUEST_ERROR')
      }),
      { numRuns: 1500 },
    )
    expect([...seen].sort()).toEqual([202, 400])
  })

  test('any bytes are answered 202 or 400', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        expect([202, 400]).toContain((await send(bytes)).status)
      }),
      { numRuns: 300 },
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
        const { body } = await system.call(getTransaction, { params: { transaction_id: id } })
        expect(body).toMatchObject({ amount, currency })
        const [row] = await system.database.query<{ text: string }>(
          'SELECT trim_scale(amount)::text AS text FROM transactions WHERE transaction_id = $1',
          [id],
        )
        expect(Number(row?.text)).toBe(amount)
        expect(row?.text).toBe(plainDecimal(amount))
      }),
      { numRuns: 300 },
    )
  })

  test('the raw payload is kept as it came, unknown fields, escapes and all', async () => {
    const text = `{"transaction_id":"txn_raw","x":"\\u0000 \\ud800 \\u00e9","source_account":"a",  "destination_account":"b","amount":1.50,"currency":"INR"}`
    expect((await send(text)).status).toBe(202)
    const [row] = await system.database.query<{ payload: string }>(
      `SELECT payload FROM transactions WHERE transaction_id = 'txn_raw'`,
    )
    expect(row?.payload).toBe(text)
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
