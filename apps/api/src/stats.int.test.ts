// A merchant's statistics: all of its own payments, each currency separately.
import { getStats, STATS_DAYS, Stats } from '@sluice/contracts'
import { addMerchant, expectStatus, openShop, type TestSystem, untilKnown } from '@sluice/testing'
import { test } from '@sluice/testing/fixtures'
import Value from 'typebox/value'
import { expect } from 'vitest'

let system: TestSystem
test.beforeAll(({ system: shared }) => {
  system = shared
})

const statsOf = async (headers: Record<string, string>): Promise<Stats> => {
  const stats = expectStatus(await untilKnown(() => system.call(getStats, { headers })), 200)
  expect([...Value.Errors(Stats, stats)]).toEqual([])
  return stats
}

/** The database's current day, in UTC. */
async function today(): Promise<string> {
  const [clock] = await system.database.query<{ today: string }>(
    `SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS today`,
  )
  return clock!.today
}

/** Repeats `work` when midnight has passed meanwhile. */
async function withinADay<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    const day = await today()
    const result = await work()
    if ((await today()) === day) return result
  }
}

/** Creates settled payments through the API, each of a new order. */
async function make(
  keys: Awaited<ReturnType<typeof addMerchant>>['keys'],
  payments: Array<[vpa: string, amount: number, currency?: string]>,
) {
  const shop = openShop(system.call, keys)
  const ends = payments.map(async ([vpa, amount, currency = 'INR']) =>
    shop.settled((await shop.pay((await shop.order(amount, { currency })).id, vpa)).id),
  )
  await Promise.all(ends)
  return shop
}

test('without payments all numbers are zero, and the series has every day', async () => {
  const { keys } = await addMerchant(system.database)
  const [{ payments_by_day: days, ...numbers }, day] = await withinADay(() =>
    Promise.all([statsOf(keys), today()]),
  )
  expect(numbers).toEqual({ total_transactions: 0, total_amount: [], success_rate: 0, by_method: [] })
  const expected = Array.from({ length: STATS_DAYS }, (_, n) => {
    const date = new Date(Date.parse(day) - (STATS_DAYS - 1 - n) * 24 * 60 * 60 * 1000)
    return { date: date.toISOString().slice(0, 10), total: 0, success: 0, failed: 0 }
  })
  expect(days).toEqual(expected)
})

test('all payments count, successful ones are summed by currency, INR first', async () => {
  const stats = await withinADay(async () => {
    const { keys } = await addMerchant(system.database)
    const shop = await make(keys, [
      ['success@test', 10_000, 'AED'],
      ['success@test', 50_000],
      ['success@test', 25_050],
      ['success@test', 999_999_999_999, 'USD'],
      ['failure@test', 70_000],
      ['failure@test', 70_000, 'EUR'],
    ])
    await shop.pay((await shop.order(80_000)).id, 'timeout@test')
    return statsOf(keys)
  })
  expect(stats).toMatchObject({
    total_transactions: 7,
    total_amount: [
      { currency: 'INR', amount: 75_050 },
      { currency: 'AED', amount: 10_000 },
      { currency: 'USD', amount: 999_999_999_999 },
    ],
    success_rate: 57, // 4 of 7
    by_method: [{ method: 'upi', total: 7, success: 4, failed: 2, success_rate: 57 }],
  })
  const sums = stats.payments_by_day.map(({ total, success, failed }) => [total, success, failed])
  expect(sums.at(-1)).toEqual([7, 4, 2])
  expect(sums.slice(0, -1)).toEqual(Array(STATS_DAYS - 1).fill([0, 0, 0]))
})

test.each<[success: number, all: number, percent: number]>([
  [1, 1, 100],
  [0, 2, 0],
  [1, 2, 50],
  [1, 3, 33],
  [2, 3, 67],
])('%d of %d is %d %%', async (success, all, percent) => {
  const { keys } = await addMerchant(system.database)
  await make(
    keys,
    Array.from({ length: all }, (_, n) => [n < success ? 'success@test' : 'failure@test', 100]),
  )
  expect((await statsOf(keys)).success_rate).toBe(percent)
})

test('each payment of one order counts, and the order’s amount counts once', async () => {
  const { keys } = await addMerchant(system.database)
  const shop = openShop(system.call, keys)
  const { id: orderId } = await shop.order(500)
  for (const vpa of ['failure@test', 'success@test']) await shop.settled((await shop.pay(orderId, vpa)).id)
  expect(await statsOf(keys)).toMatchObject({
    total_transactions: 2,
    total_amount: [{ currency: 'INR', amount: 500 }],
    success_rate: 50,
  })
})

test('refunds are not subtracted', async () => {
  const { keys } = await addMerchant(system.database)
  const shop = openShop(system.call, keys)
  const { id } = await shop.paid(700)
  await shop.refundSettled((await shop.refund(id, 700)).id)
  expect((await statsOf(keys)).total_amount).toEqual([{ currency: 'INR', amount: 700 }])
})

test('a merchant’s statistics contain its own payments only', async () => {
  const [one, other] = await Promise.all([addMerchant(system.database), addMerchant(system.database)])
  await make(one.keys, [['success@test', 300]])
  expect(await statsOf(other.keys)).toMatchObject({ total_transactions: 0, total_amount: [] })
  expect(await statsOf(one.keys)).toMatchObject({ total_transactions: 1 })
})

test('each day has its own payments, in UTC; older ones are in the totals only', async () => {
  const { id, keys } = await addMerchant(system.database)
  await make(keys, [
    ['success@test', 101],
    ['success@test', 102],
    ['failure@test', 103],
    ['success@test', 104],
  ])
  const day = `date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'`
  const stats = await withinADay(async () => {
    await system.database.query(
      `UPDATE payments SET created_at = CASE amount
         WHEN 101 THEN ${day} - interval '1 ms' WHEN 102 THEN ${day} - interval '1 day'
         WHEN 103 THEN ${day} - interval '29 days' ELSE ${day} - interval '29 days 1 ms' END
       WHERE merchant_id = $1`,
      [id],
    )
    return statsOf(keys)
  })
  const counts = stats.payments_by_day.map(({ total, success, failed }) => [total, success, failed])
  const empty = [0, 0, 0]
  expect(counts).toEqual([[1, 0, 1], ...Array(STATS_DAYS - 3).fill(empty), [2, 2, 0], empty])
  expect(stats).toMatchObject({ total_transactions: 4, success_rate: 75 })
})
