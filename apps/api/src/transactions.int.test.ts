// Transactions from POST to PROCESSED, with API and worker, on both queue backends.
import { getTransaction, listTransactions, postTransaction } from '@sluice/contracts'
import {
  queueBackends,
  startSystem,
  type TestSystem,
  transactionBody,
  untilAllKnown,
  untilKnown,
  waitFor,
} from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

const DELAY_MS = 1000

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`transactions, with the queue on ${backend}`, () => {
    let system: TestSystem
    beforeAll(async () => {
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend })
    })
    afterAll(() => system?.stop())

    const postOnce = (body: object) => system.call(postTransaction, { body: body as never })
    const post = (body: object) => untilKnown(() => postOnce(body))
    const read = (transaction_id: string) => system.call(getTransaction, { params: { transaction_id } })
    const processed = (transactionId: string) =>
      waitFor(`${transactionId} to be processed`, async () => {
        const { body } = await read(transactionId)
        return 'status' in body && body.status === 'PROCESSED' ? body : undefined
      })

    test('a transaction is PROCESSING at once, and PROCESSED once, after its delay', async () => {
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
      expect((await post(body)).body).toMatchObject({ duplicate: true })
      expect((await read('txn_first')).body).toEqual(done)
    })

    test('100 concurrent events with one id create one row, processed once', async () => {
      let id = ''
      const responses = await untilAllKnown((before) => {
        id = `txn_100_${before}`
        return Promise.all(Array.from({ length: 100 }, () => postOnce(transactionBody(id))))
      })
      expect(responses.map(({ status }) => status)).toEqual(Array(100).fill(202))
      expect(responses.filter(({ body }) => !('duplicate' in body))).toHaveLength(1)
      expect(responses.filter(({ body }) => 'conflict' in body)).toHaveLength(0)
      await processed(id)
      expect(
        await system.database.query('SELECT 1 FROM transactions WHERE transaction_id = $1', [id]),
      ).toHaveLength(1)
      expect((await system.completions()).find((row) => row.id === id)).toMatchObject({ times: 1 })
    })

    const unusualIds = [
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
    describe('a transaction with an unusual id', () => {
      const responses = new Map<string, Awaited<ReturnType<typeof post>>>()
      // All are posted first, so that their processing delays overlap.
      beforeAll(async () => {
        await Promise.all(unusualIds.map(async (id) => responses.set(id, await post(transactionBody(id)))))
      })

      test.each(unusualIds)('%j is accepted, processed and recognised as a duplicate', async (id) => {
        expect(responses.get(id)).toMatchObject({ status: 202, body: { transaction_id: id } })
        expect(await processed(id)).toMatchObject({ transaction_id: id })
        expect((await post(transactionBody(id))).body).toMatchObject({ duplicate: true })
      })
    })

    test('the list is newest first, with pages and a total', async () => {
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
