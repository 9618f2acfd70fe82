// What the books of a run come to, in words.
import { expect, test } from 'vitest'
import { type Books, booksVerdict } from './gateway-ledger.ts'

const RIGHT: Books = {
  payments: 6000,
  missing: 0,
  twice: 0,
  unsettled: 0,
  notSettledOnce: 0,
  ordersWrong: 0,
  amountsWrong: 0,
  keysMissing: 0,
}

test('books without a fault are ok', () => {
  expect(booksVerdict(RIGHT)).toBe('ok (6,000 payments)')
})

test.each<[keyof Books, string]>([
  ['missing', '3 ACKNOWLEDGED BUT MISSING'],
  ['twice', '3 ORDERS WITH TWO PAYMENTS'],
  ['unsettled', '3 NOT SETTLED'],
  ['notSettledOnce', '3 NOT SETTLED ONCE'],
  ['ordersWrong', '3 ORDERS PAID WITHOUT A SUCCESS, OR THE REVERSE'],
  ['amountsWrong', '3 AMOUNTS WRONG'],
  ['keysMissing', '3 KEYS MISSING'],
])('a count of %s is told', (fault, finding) => {
  expect(booksVerdict({ ...RIGHT, [fault]: 3 })).toBe(finding)
})
