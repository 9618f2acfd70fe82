// The list of payments: newest first, in pages, with filters.
import { listPayments, Payment, type PaymentsQuery } from '@sluice/contracts'
import {
  addMerchant,
  expectStatus,
  openShop,
  startSystem,
  type TestSystem,
  untilKnown,
} from '@sluice/testing'
import Value from 'typebox/value'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'

let system: TestSystem
afterAll(() => system?.stop())

let keys: Record<string, string>
let ids: Record<'paid' | 'failed' | 'card' | 'odd' | 'plain', string>
let orderIds: string[]
beforeAll(async () => {
  const env = { UPI_SUCCESS_RATE: '1', CARD_SUCCESS_RATE: '1' }
  system = await startSystem({ postgresUrl: inject('postgresUrl'), env })
  const merchant = await addMerchant(system.database)
  keys = merchant.keys
  const its = openShop(system.call, merchant.keys)
  const orders = await Promise.all(Array.from({ length: 5 }, () => its.order()))
  orderIds = orders.map(({ id }) => id)
  ids = {
    paid: (await its.pay(orderIds[0]!, 'Anna.K@okbank')).id,
    failed: (await its.pay(orderIds[1]!, 'failure@test')).id,
    card: (await its.payByCard(orderIds[2]!, '4000000000000069')).id,
    odd: (await its.pay(orderIds[3]!, 'user_1@paytm')).id,
    plain: (await its.pay(orderIds[4]!, 'userX1@paytm')).id,
  }
  await Promise.all(Object.values(ids).map((id) => its.settled(id)))
  const times = {
    paid: '2026-01-10T00:00:00Z',
    failed: '2026-01-10T23:59:59.999Z',
    card: '2026-01-11T00:00:00Z',
    odd: '2026-01-12T12:00:00Z',
    plain: '2026-01-12T12:00:00Z',
  }
  for (const [name, at] of Object.entries(times)) {
    await system.database.query('UPDATE payments SET created_at = $2 WHERE id = $1', [
      ids[name as keyof typeof ids],
      at,
    ])
  }
})

const list = async (query: Partial<PaymentsQuery> = {}) =>
  expectStatus(await untilKnown(() => system.call(listPayments, { headers: keys, query })), 200)
async function found(query: Partial<PaymentsQuery>): Promise<string[]> {
  const { data, total } = await list(query)
  expect(total).toBe(data.length)
  const names = new Map(Object.entries(ids).map(([name, id]) => [id, name]))
  return data.map(({ id }) => names.get(id)!).sort()
}
const all = ['card', 'failed', 'odd', 'paid', 'plain']

test('is newest first, ten to a page, stable, with the total', async () => {
  const { data, ...page } = await list()
  expect(page).toEqual({ total: 5, limit: 10, offset: 0 })
  expect(data.map(({ id }) => id)).toEqual([
    ...[ids.odd, ids.plain].toSorted(),
    ids.card,
    ids.failed,
    ids.paid,
  ])
  for (const payment of data) expect([...Value.Errors(Payment, payment)]).toEqual([])
  const pages = await Promise.all([0, 2, 4].map((offset) => list({ limit: 2, offset })))
  expect(pages.flatMap((part) => part.data)).toEqual(data)
  expect(pages[2]).toMatchObject({ total: 5, limit: 2, offset: 4 })
  expect(await list({ offset: 5 })).toEqual({ data: [], total: 5, limit: 10, offset: 5 })
})

test.each<[Partial<PaymentsQuery>, string[]]>([
  [{ status: 'success' }, ['odd', 'paid', 'plain']],
  [{ status: 'failed' }, ['card', 'failed']],
  [{ status: 'pending' }, []],
  [{ status: 'created' }, []],
  [{ method: 'card' }, ['card']],
  [{ method: 'upi' }, ['failed', 'odd', 'paid', 'plain']],
  [{ method: 'gateway' }, []],
  [{ method: 'upi', status: 'failed' }, ['failed']],
  [{ order_id: 'order_AAAAAAAAAAAAAAAA' }, []],
  [{ order_id: '%' }, []],
  [{ order_id: '' }, []],
  // A day is the whole day in UTC. A time is inclusive.
  [{ from: '2026-01-10', to: '2026-01-10' }, ['failed', 'paid']],
  [{ to: '2026-01-09' }, []],
  [{ to: '2026-01-10' }, ['failed', 'paid']],
  [{ from: '2026-01-11' }, ['card', 'odd', 'plain']],
  [{ from: '2026-01-11T00:00:00Z', to: '2026-01-11T00:00:00Z' }, ['card']],
  [{ from: '2026-01-11T00:00Z', to: '2026-01-12T11:59:59.999Z' }, ['card']],
  [{ from: '2026-01-11T05:30:00.001+05:30' }, ['odd', 'plain']],
  [{ to: '2026-01-11T05:30:00+05:30' }, ['card', 'failed', 'paid']],
  [{ from: '2026-01-12', to: '2026-01-10' }, []],
  [{ from: '0001-01-01', to: '9999-12-31' }, all],
  [{ to: '9999-12-31T23:59:59-23:59' }, all],
  [{ search: '' }, all],
  [{ search: 'okbank' }, ['paid']],
  [{ search: 'anna.k@' }, ['paid']],
  [{ search: 'pay_' }, all],
  [{ search: 'order_' }, all],
  [{ search: 'user_1' }, ['odd']],
  [{ search: '_1@' }, ['odd']],
  [{ search: '%' }, []],
  [{ search: 'user%paytm' }, []],
  [{ search: '\\' }, []],
  [{ search: "' OR 1=1 --" }, []],
  [{ search: '@paytm', status: 'success', method: 'upi', from: '2026-01-12' }, ['odd', 'plain']],
])('?%j finds %j', async (query, expected) => {
  expect(await found(query)).toEqual(expected)
})

test('finds a payment by its order, and by a part of either id', async () => {
  expect(await found({ order_id: orderIds[0]! })).toEqual(['paid'])
  expect(await found({ search: orderIds[1]!.slice(8) })).toEqual(['failed'])
  expect(await found({ search: ids.card.slice(6) })).toEqual(['card'])
  expect(await found({ search: ids.card.toUpperCase() })).toEqual(['card'])
})

test('finds a card by its last four digits', async () => {
  const names = ['paid', 'failed', 'card', 'odd', 'plain'] as const
  // A random id may contain these digits as well.
  const expected = names.filter(
    (name, n) => name === 'card' || `${ids[name]} ${orderIds[n]}`.includes('0069'),
  )
  expect(await found({ search: '0069' })).toEqual(expected.toSorted())
})

test.each([
  ...['0', '101', '-1', '1.5', 'x', ''].map((limit) => `limit=${limit}`),
  'offset=-1',
  'offset=2147483648',
  'status=paid',
  'status=',
  'method=cash',
  ...[
    'yesterday',
    '2026-02-30',
    '2026-13-01',
    '2026-01-10T25:00:00Z',
    '2026-01-10T10:00:00',
    '1768003200',
    '',
    '2026-01-10%00',
    '0000-01-01',
    '0001-01-01T00:00:00%2B23:59',
  ].flatMap((time) => [`from=${time}`, `to=${time}`]),
  `search=${'x'.repeat(256)}`,
  'search=%00',
  'status=failed&status=success',
])('?%s is 400 and names what is wrong', async (query) => {
  const [field] = query.split('=')
  const response = await fetch(`${system.api.url}/api/v1/payments?${query}`, { headers: keys })
  expect({ status: response.status, body: await response.json() }).toEqual({
    status: 400,
    body: {
      error: {
        code: 'BAD_REQUEST_ERROR',
        field,
        description: expect.any(String),
        request_id: expect.any(String),
      },
    },
  })
})
