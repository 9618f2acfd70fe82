// Duplicates that contradict the first event of their id: reported, kept and counted.
import { type Accepted, getTransaction, listConflicts } from '@sluice/contracts'
import { type TestSystem, transactionBody, untilAllKnown, untilKnown } from '@sluice/testing'
import { test } from '@sluice/testing/fixtures'
import { describe, expect } from 'vitest'

describe('contradicting duplicates of a transaction', () => {
  let system: TestSystem
  test.beforeAll(({ system: shared }) => {
    system = shared
  })

  const postOnce = (body: unknown, text = JSON.stringify(body)) =>
    fetch(`${system.api.url}/v1/webhooks/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: text,
    }).then(async (response) => ({
      status: response.status,
      body: (await response.json()) as Partial<Accepted>,
    }))
  const post = (...sent: Parameters<typeof postOnce>) => untilKnown(() => postOnce(...sent))
  const conflictsOf = async (id: string) => {
    const { body } = await untilKnown(() => system.call(listConflicts, { query: { limit: 100 } }))
    return 'data' in body ? body.data.filter((conflict) => conflict.id === id) : []
  }

  test('a different value in any contract field is a conflict', async () => {
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
    const conflicts = await conflictsOf('txn_c1')
    expect(conflicts.map(({ fields }) => fields).sort()).toEqual([
      ['amount'],
      ['currency'],
      ['destination_account'],
      ['source_account'],
    ])
    expect((await system.call(getTransaction, { params: { transaction_id: 'txn_c1' } })).body).toMatchObject(
      first,
    )
  })

  test('other order, white space, unknown fields or spelling of a number is no conflict', async () => {
    await post(transactionBody('txn_c2', { amount: 150.5 }))
    const same = `{ "extra":{"a":[1]}, "currency":"INR","amount":1505e-1,\n"destination_account":"acc_merchant_456","source_account":"acc_user_789","transaction_id":"txn_c2"}`
    expect((await post(undefined, same)).body).toEqual({
      message: 'Accepted',
      transaction_id: 'txn_c2',
      duplicate: true,
    })
    expect(await conflictsOf('txn_c2')).toEqual([])
  })

  test('within one commit the first event is stored, and the others are reported as conflicts', async () => {
    let id = ''
    const responses = await untilAllKnown((before) => {
      id = `txn_c3_${before}`
      return Promise.all(
        Array.from({ length: 30 }, (_, n) =>
          postOnce(transactionBody(id, { amount: n % 2 === 0 ? 10 : 20 })),
        ),
      )
    })
    const { body } = await system.call(getTransaction, { params: { transaction_id: id } })
    expect(responses.filter(({ body }) => body.conflict).length).toBe(15)
    expect(responses.filter(({ body }) => body.duplicate).length).toBe(29)
    expect('amount' in body && [10, 20]).toContain((body as { amount: number }).amount)
  })

  // A 503 may count or not, so the last event cannot be sent again. The whole test can.
  test('each distinct body is one row with a count, at most 20 rows for an id, under concurrency too', {
    retry: 1,
  }, async () => {
    await post(transactionBody('txn_c4', { amount: 1 }))
    const amounts = Array.from({ length: 40 }, (_, n) => n + 2)
    await Promise.all(
      [...amounts, ...amounts, ...amounts].map((amount) => post(transactionBody('txn_c4', { amount }))),
    )
    const conflicts = await conflictsOf('txn_c4')
    expect(conflicts).toHaveLength(20)
    // A kept body is counted at the limit, too: send one again.
    const kept = conflicts[0]!
    expect((await postOnce(undefined, kept.payload!)).status).toBe(202)
    expect((await conflictsOf('txn_c4')).find(({ payload }) => payload === kept.payload)).toMatchObject({
      deliveries: kept.deliveries + 1,
    })
  })

  test('conflicts are counted in the metrics and logged', async () => {
    const text = await (await fetch(`${system.api.url}/metrics`)).text()
    expect(text).toMatch(/sluice_ingested_total\{kind="transaction",outcome="conflict"\} [1-9]/)
    expect(text).toMatch(/sluice_conflicts_total\{kind="transaction",field="amount"\} [1-9]/)
    expect(system.api.output()).toContain('a duplicate contradicts the first event of its id')
  })
})
