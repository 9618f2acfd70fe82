// Tests of the payments page in a real browser, against the real system: filter, summary, table, trail.
import { browserPath, waitFor } from '@sluice/testing'
import { describe, expect, test } from 'vitest'
import { findAxeViolations, hold, sidewaysOverflow } from './open-page.fixture.ts'
import { choose, row, rowIds, setUpPaymentsPages, shows, textOf } from './payments-page.fixture.ts'

const PHONE = { viewport: { width: 360, height: 740 } }
/** Ids that are hard to lay out or to escape. */
const oddIds = ['x'.repeat(100), '💸'.repeat(50), '<script>alert(1)</script>', 'دفع/١٢٣ %2F', '__proto__']

describe.skipIf(browserPath === undefined)('the payments page', () => {
  const { dashboard, url, openBlank, open, openListed } = setUpPaymentsPages()

  test('the root redirects to the payments page, and an unknown address shows a "no such page" notice', async () => {
    const { page } = await open()
    await page.goto(url('/'))
    await page.getByRole('heading', { name: 'Payments', exact: true }).waitFor()
    expect(new URL(page.url()).pathname).toBe('/payments')
    await page.goto(url('/no/such/page'))
    await page.getByRole('heading', { name: 'There is no such page' }).waitFor()
    expect(await findAxeViolations(page)).toEqual([])
  })

  test('the status filter selects the shown payments and keeps its choice in the address', async () => {
    await dashboard.post({ payment_id: 'done' })
    await dashboard.post({ payment_id: 'waiting', event: 'payment.pending' })
    const { page } = await openListed()
    expect(await rowIds(page)).toEqual(['waiting', 'done'])

    await choose(page, 'completed')
    await waitFor('only completed payments', async () => (await rowIds(page)).join() === 'done')
    expect(new URL(page.url()).search).toBe('?status=completed')
    await page.reload()
    await row(page, 'done').waitFor()
    expect(await rowIds(page)).toEqual(['done'])

    await choose(page, 'failed')
    await page.getByText('No failed payments').waitFor()
    await page.goBack()
    await row(page, 'done').waitFor()
    expect(await page.locator('[data-status="completed"]').getAttribute('aria-pressed')).toBe('true')
    await page.goForward()
    await page.getByText('No failed payments').waitFor()
  })

  test('the summary counts and sums all payments, not only those on the page', async () => {
    await Promise.all(Array.from({ length: 60 }, () => dashboard.post({})))
    await dashboard.post({ event: 'payment.failed', amount: 9_900, currency: 'EUR' })
    const { page } = await openListed()
    expect(await page.getByTestId('payment-row').count()).toBe(50)
    await shows(page, 'summary-completed', '60 Completed')
    await shows(page, 'summary-failed', '1 Failed')
    await shows(page, 'summary-pending', '0 Pending')
    await shows(page, 'summary-total-USD', '$15,000.00 USD')
    await shows(page, 'summary-total-EUR', '€99.00 EUR')

    await choose(page, 'completed')
    await page.getByTestId('summary-total-EUR').waitFor({ state: 'detached' })
    await shows(page, 'summary-total-USD', '$15,000.00 USD')
    await shows(page, 'summary-failed', '1 Failed')
  })

  test('totals add the statuses of a currency, and show refunds separately', async () => {
    await dashboard.post({ payment_id: 'back' })
    await dashboard.post({ payment_id: 'back', event: 'payment.refunded', amount: 5_000 })
    await dashboard.post({})
    const { page } = await openListed()
    await shows(page, 'summary-total-USD', '$500.00 USD')
    await shows(page, 'summary-bar', /\$50\.00 USD refunded/)
    expect(await row(page, 'back').innerText()).toContain('$50.00 USD refunded')
  })

  test.each([
    [25_000, 'USD', '$250.00 USD'],
    [500, 'JPY', '¥500 JPY'],
    [1_250, 'KWD', '1.250 KWD'],
    [999_999_999_999, 'INR', '₹9,999,999,999.99 INR'],
  ])('the amount %d in %s is shown as %s', async (amount, currency, text) => {
    await dashboard.post({ amount, currency })
    const { page } = await openListed()
    expect(await textOf(page, 'payment-amount')).toBe(text)
    await shows(page, `summary-total-${currency}`, text)
  })

  test('a duplicate event adds no second row', async () => {
    const event = await dashboard.post({ payment_id: 'once' })
    await Promise.all([dashboard.post(event), dashboard.post(event)])
    const { page } = await openListed()
    await dashboard.post(event)
    await dashboard.post({ payment_id: 'later' })
    await row(page, 'later').waitFor()
    expect(await rowIds(page)).toEqual(['later', 'once'])
    await shows(page, 'summary-completed', '2 Completed')
  })

  test('a click on a row opens the live audit trail with the outcome of each event', async () => {
    const payment_id = 'story'
    await dashboard.post({ payment_id, event: 'payment.pending', timestamp: 1_000 })
    const completed = await dashboard.post({ payment_id, timestamp: 2_000 })
    await dashboard.post(completed)
    await dashboard.post(completed)
    await dashboard.post({ payment_id, event: 'payment.pending', timestamp: 1_500 })
    await dashboard.post({ payment_id, event: 'payment.failed', timestamp: 3_000 })
    const { page } = await openListed()
    await row(page, payment_id).getByTestId('payment-amount').click()

    const trail = page.getByTestId('event-trail')
    const events = trail.getByTestId('trail-event')
    await events.first().waitFor()
    expect(new URL(page.url()).search).toBe('?payment=story')
    const outcomes = trail.getByTestId('event-outcome')
    expect(await outcomes.allInnerTexts()).toEqual(['Applied', 'Applied', 'Superseded', 'Ignored'])
    expect(await events.nth(1).innerText()).toContain('3 times, counted once')
    expect(await events.nth(1).innerText()).toContain('$250.00 USD')
    expect(await events.nth(1).innerText()).toContain('1970-01-01 00:33:20 UTC')
    await events.nth(1).getByText('Payload').click()
    expect(await events.nth(1).locator('pre').innerText()).toBe(JSON.stringify(completed, null, 2))

    await dashboard.post({ payment_id, event: 'payment.refunded', amount: 1_000, timestamp: 4_000 })
    await waitFor('the refund', async () => (await outcomes.allInnerTexts())[4] === 'Applied')
    await trail.getByText('$10.00 USD refunded').waitFor()

    await page.goBack()
    await trail.waitFor({ state: 'detached' })
    expect(new URL(page.url()).search).toBe('')
  })

  test('the trail has a link, opens and closes by keyboard, and restores the focus', async () => {
    await dashboard.post({ payment_id: 'linked' })
    const { page } = await openListed('?payment=linked')
    const trail = page.getByTestId('event-trail')
    await trail.getByTestId('trail-event').waitFor()
    expect(await page.title()).toBe('linked · Payments · Sluice')
    await page.keyboard.press('Escape')
    await trail.waitFor({ state: 'detached' })
    expect(new URL(page.url()).search).toBe('')
    expect(await page.title()).toBe('Payments · Sluice')
    const link = row(page, 'linked').getByRole('link')
    expect(await link.evaluate((element) => element === document.activeElement)).toBe(true)
    await page.keyboard.press('Enter')
    await trail.getByTestId('trail-event').waitFor()
    await trail.getByRole('button', { name: 'Close' }).click()
    await trail.waitFor({ state: 'detached' })
    expect(await link.evaluate((element) => element === document.activeElement)).toBe(true)
  })

  test('the trail of an unknown payment shows a "no such payment" notice', async () => {
    await dashboard.post({})
    const { page } = await openListed('?payment=unknown')
    await page.getByText('There is no such payment').waitFor()
    await page.keyboard.press('Escape')
    await page.getByTestId('event-trail').waitFor({ state: 'detached' })
    expect(await page.evaluate('document.activeElement.tagName')).toBe('H1')
  })

  test('the page removes invalid values from its address', async () => {
    await dashboard.post({ payment_id: 'there' })
    const { page } = await openListed('?status=paid&page=none&payment=there')
    await page.getByTestId('trail-event').waitFor()
    expect(new URL(page.url()).search).toBe('?payment=there')
    expect(await page.evaluate('window.history.length')).toBe(2)
  })

  test('ordinary ids are shown whole, and invisible characters of ids are shown escaped', async () => {
    const ordinary = 'pay_8b5df45b_mgkf8mk7_00001'
    await dashboard.post({ payment_id: ordinary })
    for (const id of ['  ', 'a\nb', 'a\u200bb', '\u202egpj'])
      await dashboard.post({ payment_id: id, user_id: id })
    const { page } = await openListed('', { viewport: { width: 1200, height: 900 } })
    const link = row(page, ordinary).getByRole('link')
    expect(await link.evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0)
    const shown = await page.getByTestId('payment-row').getByRole('link').allInnerTexts()
    expect(shown).toEqual(['\\u202egpj', 'a\\u200bb', 'a\\u000ab', '␣␣', ordinary])
    await page.getByRole('link', { name: 'a\\u000ab' }).click()
    const trail = page.getByTestId('event-trail')
    await trail.getByTestId('trail-event').waitFor()
    expect(await trail.getByRole('heading', { level: 2 }).innerText()).toBe('a\\u000ab')
  })

  test('loading, an empty list and an empty status each have a text of their own', async () => {
    const { page } = await openBlank()
    const release = await hold(page)
    await page.goto(url('/payments'))
    await page.locator('[data-test-id="payments-table"][aria-busy="true"]').waitFor()
    await page.getByTestId('fetching').waitFor()
    release()
    await page.getByText('No payments yet').waitFor()
    const command = await page.locator('pre').innerText()
    expect(command).toMatch(/^curl -X POST http.*\/webhooks\/payment/)
    expect(command).not.toContain('%')
    expect(await findAxeViolations(page)).toEqual([])
    await choose(page, 'refunded')
    await page.getByText('No refunded payments').waitFor()
  })

  test('each page of 10,000 payments appears within two seconds', async () => {
    const { payment_id } = await dashboard.post({})
    await dashboard.addCopies(payment_id, 9_999)
    const { page } = await openListed()
    await shows(page, 'shown-range', '1–50 of 10,000')
    await shows(page, 'summary-total-USD', '$2,500,000.00 USD')
    const first = await rowIds(page)

    const next = page.getByRole('button', { name: 'Next page' })
    await next.focus()
    await page.keyboard.press('Enter')
    await page.getByText('51–100 of 10,000').waitFor({ timeout: 2_000 })
    await waitFor('other payments', async () => (await rowIds(page)).every((id) => !first.includes(id)))
    expect(new URL(page.url()).search).toBe('?page=2')

    await page.getByRole('button', { name: 'Last page' }).click()
    await page.getByText('9,951–10,000 of 10,000').waitFor({ timeout: 2_000 })
    expect(await next.getAttribute('aria-disabled')).toBe('true')
    await page.goto(url('/payments?page=5000'))
    await page.getByText('Page 200 of 200').waitFor()
    expect(new URL(page.url()).search).toBe('?page=200')
  })

  test('a phone page never scrolls horizontally, even with unusual ids', async () => {
    for (const id of oddIds) await dashboard.post({ payment_id: id, user_id: id, amount: 999_999_999_999 })
    const { page } = await openListed('', PHONE)
    expect((await rowIds(page)).toSorted()).toEqual(oddIds.toSorted())
    expect(await sidewaysOverflow(page)).toBe(0)
    for (const id of oddIds) {
      await row(page, id).getByRole('link').click()
      const trail = page.getByTestId('event-trail')
      await trail.getByTestId('trail-event').waitFor()
      expect(await trail.getByRole('heading', { level: 2 }).innerText()).toBe(id)
      expect(await trail.evaluate((dialog) => dialog.scrollWidth - dialog.clientWidth)).toBe(0)
      await trail.getByRole('button', { name: 'Close' }).click()
      await trail.waitFor({ state: 'detached' })
    }
  })

  test.each(['light', 'dark'] as const)('axe finds no violation in the %s theme', async (colorScheme) => {
    const statuses = ['pending', 'completed', 'failed', 'refunded'] as const
    for (const status of statuses) await dashboard.post({ payment_id: status, event: `payment.${status}` })
    const metadata = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`field_${n}`, 'x'.repeat(n)]))
    const long = { payment_id: 'completed', event: 'payment.pending', timestamp: 5, metadata } as const
    await dashboard.post(long)
    for (const options of [{ colorScheme }, { colorScheme, ...PHONE }]) {
      const { page } = await openListed('', options)
      expect(await findAxeViolations(page)).toEqual([])
      await row(page, 'completed').click()
      await page.getByTestId('trail-event').first().waitFor()
      expect(await findAxeViolations(page)).toEqual([])
      await page.getByText('Payload').last().click()
      const payload = page.locator('pre').last()
      await payload.waitFor()
      expect(
        await payload.evaluate((element) => element.scrollHeight - element.clientHeight),
      ).toBeGreaterThan(0)
      expect(await findAxeViolations(page)).toEqual([])
      await page.getByTestId('event-trail').getByRole('button', { name: 'Close' }).click()
    }
    await dashboard.clear()
    const { page } = await open('', { colorScheme })
    await page.getByText('No payments yet').waitFor()
    expect(await findAxeViolations(page)).toEqual([])
  })
})
