// Our ids: their form, their uniform characters, and a new id when one is taken.
import { expect, test } from 'vitest'
import { insertWithNewId, isOwnId, newId, randomText } from './ids.ts'

test('an id is its prefix and 16 letters and digits', () => {
  for (const prefix of ['order', 'pay', 'rfnd'] as const) {
    const ids = Array.from({ length: 1000 }, () => newId(prefix))
    for (const id of ids) {
      expect(id).toMatch(new RegExp(`^${prefix}_[A-Za-z0-9]{16}$`))
      expect(isOwnId(prefix, id)).toBe(true)
    }
    expect(new Set(ids).size).toBe(1000)
  }
})

test.for([
  'pay_',
  'pay_short',
  'pay_0123456789abcdef0',
  'pay_0123456789abcde-',
  'pay_0123456789abcde\n',
  'pay_0123456789abcde\0',
  'order_0123456789abcdef',
  'PAY_0123456789abcdef',
  ' pay_0123456789abcdef',
  '',
])('%j is no id of a payment', (text) => {
  expect(isOwnId('pay', text)).toBe(false)
})

test('every character is equally likely', () => {
  const counts = new Map<string, number>()
  const characters = 310_000
  for (const character of randomText(characters)) counts.set(character, (counts.get(character) ?? 0) + 1)
  expect(counts.size).toBe(62)
  // 5,000 each are expected, with a standard deviation of 71; a modulo of bytes would give some a quarter more.
  for (const count of counts.values()) expect(Math.abs(count - 5000)).toBeLessThan(500)
})

test('a taken id is replaced by a new one', async () => {
  const ids = ['order_taken', 'order_taken', 'order_free']
  const tried: string[] = []
  const row = await insertWithNewId(
    'order',
    async (id) => {
      tried.push(id)
      return id === 'order_taken' ? undefined : { id }
    },
    () => ids.shift()!,
  )
  expect(row).toEqual({ id: 'order_free' })
  expect(tried).toEqual(['order_taken', 'order_taken', 'order_free'])
})

test('a random source that repeats itself is an error after ten attempts', async () => {
  await expect(
    insertWithNewId(
      'pay',
      async () => undefined,
      () => 'pay_same',
    ),
  ).rejects.toThrow('random source')
})
