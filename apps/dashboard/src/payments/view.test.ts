// Tests of the view that the payments page reads from its address.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isCanonical, parseView, viewHref } from './view.ts'

test('the plain address shows the first page of all payments', () => {
  expect(parseView('')).toEqual({ status: 'all', page: 1, payment: undefined })
  expect(viewHref({ status: 'all', page: 1, payment: undefined })).toBe('/payments')
})

test.each(['status=nonsense', 'status=all', 'page=0', 'page=-1', 'page=1.5', 'page=x', 'page=1e99'])(
  'the invalid %s is ignored',
  (search) => {
    expect(parseView(search)).toEqual(parseView(''))
    expect(isCanonical(search)).toBe(false)
  },
)

test('the address of a view parses to the same view, for any payment id', () => {
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
