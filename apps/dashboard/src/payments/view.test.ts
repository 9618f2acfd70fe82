// The payments page's address and what it means.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isCanonical, parseView, viewHref } from './view.ts'

test('the plain address shows the first page of all payments', () => {
  expect(parseView('')).toEqual({ status: 'all', page: 1, payment: undefined })
  expect(viewHref({ status: 'all', page: 1, payment: undefined })).toBe('/payments')
})

test.each(['status=nonsense', 'status=all', 'page=0', 'page=-1', 'page=1.5', 'page=x', 'page=1e99'])(
  '%s counts as not said',
  (search) => {
    expect(parseView(search)).toEqual(parseView(''))
    expect(isCanonical(search)).toBe(false)
  },
)

test('a view survives its address, whatever the id of its payment', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('all', 'pending', 'completed', 'failed', 'refunded'),
      fc.integer({ min: 1, max: 200 }),
      fc.option(fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }), { nil: undefined }),
      (status, page, payment) => {
        const view = { status, page, payment } as const
        const { search } = new URL(viewHref(view), 'http://pages')
        expect(parseView(search)).toEqual(view)
        expect(isCanonical(search)).toBe(true)
      },
    ),
  )
})
