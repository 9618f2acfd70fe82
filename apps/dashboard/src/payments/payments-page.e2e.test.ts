// Tests of the payments page in a real browser, against the real system.
import { browserPath, launchBrowser, waitFor } from '@sluice/testing'
import type { Browser, Page, Route } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findViolations, hold, LIST, openPage, setHidden, sidewaysOverflow } from './open-page.fixture.ts'
import { type Dashboard, startDashboard } from './start-dashboard.fixture.ts'

const STREAM = '**/_api/payments/stream'
const PHONE = { viewport: { width: 360, height: 740 } }
/** Ids that are hard to lay out or to escape. */
const oddIds = ['x'.repeat(100), '💸'.repeat(50), '<script>alert(1)</script>', 'دفع/١٢٣ %2F', '__proto__']

describe.skipIf(browserPath === undefined)('the payments page', () => {
  let browser: Browser
  let dashboard: Dashboard
  let opened: Awaited<ReturnType<typeof openPage>>[] = []

  beforeAll(async () => {
    ;[browser, dashboard] = await Promise.all([launchBrowser(), startDashboard()])
  })
  afterAll(async () => {
    await browser?.close()
    await dashboard?.stop()
  })
  beforeEach(() => dashboard.clear())
  afterEach(async () => {
    const complaints = opened.flatMap((one) => one.complaints)
    await Promise.all(opened.map(({ page }) => page.context().close()))
    opened = []
    expect(complaints).toEqual([])
  })

  async function open(search = '', options: Parameters<typeof openPage>[1] = {}) {
    const one = await openPage(browser, options)
    opened.push(one)
    await one.page.goto(`${dashboard.url}/payments${search}`)
    return one
  }

  /** Opens the page, and waits until it lists payments and its stream is open. */
  async function openListed(search = '', options: Parameters<typeof openPage>[1] = {}) {
    const one = await open(search, options)
    await one.page.getByTestId('payment-row').first().waitFor()
    await one.page.getByText('Live', { exact: true }).waitFor()
    return one
  }

  const row = (page: Page, id: string) =>
    page.locator(`[data-test-id="payment-row"][data-payment-id=${JSON.stringify(id)}]`)
  const rowIds = (page: Page) =>
    page
      .getByTestId('payment-row')
      .evaluateAll((rows) => rows.map((one) => one.getAttribute('data-payment-id')))
  const choose = (page: Page, status: string) =>
    page.getByTestId('status-filter').locator(`[data-status="${status}"]`).click()
  const textOf = (page: Page, testId: string) => page.getByTestId(testId).first().innerText()
  /** Waits for a text, because the page fetches list and summary separately. */
  const shows = (page: Page, testId: string, text: string | RegExp) =>
    waitFor(`${testId} to show ${text}`, async () => {
      const shown = await textOf(page, testId)
      if (typeof text === 'string' ? shown !== text : !text.test(shown)) throw new Error(`It shows ${shown}`)
      return true
    })
  const respondError = (status: number, code: string, description: string) => (route: Route) =>
    route.fulfill({ status, json: { error: { code, description } } })

  test('the root redirects to the payments page, and an unknown address shows a "no such page" notice', async () => {
    const { page } = await open()
    await page.goto(`${dashboard.url}/`)
    await page.getByRole('heading', { name: 'Payments', exact: true }).waitFor()
    expect(new URL(page.url()).pathname).toBe('/payments')
    await page.goto(`${dashboard.url}/no/such/page`)
    await page.getByRole('heading', { name: 'There is no such page' }).waitFor()
    expect(await findViolations(page)).toEqual([])
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

  test('relative times tick without a reload', async () => {
    await dashboard.post({})
    const { page } = await openListed()
    expect(await textOf(page, 'payment-updated')).toMatch(/^just now$|^\d s ago$/)
    await page.evaluate('window.sameDocument = true')
    await page.clock.fastForward('02:05')
    await waitFor('the time to tick', async () => (await textOf(page, 'payment-updated')) === '2 min ago')
    expect(await page.evaluate('window.sameDocument')).toBe(true)
    expect(await page.getByTestId('payment-updated').getAttribute('datetime')).toMatch(/^\d{4}-.*Z$/)
  })

  test('the page shows when data was last fetched, and that a fetch is in progress', async () => {
    await dashboard.post({})
    const { page } = await openListed()
    await page.getByTestId('fetching').waitFor({ state: 'detached' })
    expect(await textOf(page, 'last-fetched')).toMatch(/^Updated (just now|\d s ago)$/)

    const release = await hold(page)
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByTestId('fetching').waitFor()
    await page.clock.fastForward(4_000)
    await waitFor('the age to tick', async () =>
      /^Updated [4-9] s ago$/.test(await textOf(page, 'last-fetched')),
    )
    release()
    await page.getByTestId('fetching').waitFor({ state: 'detached' })
    expect(await textOf(page, 'last-fetched')).toMatch(/^Updated (just now|[0-3] s ago)$/)
    expect(await page.getByTestId('payment-row').count()).toBe(1)
  })

  test('a posted event appears within two seconds, without a reload', async () => {
    await dashboard.post({ payment_id: 'first' })
    const { page } = await openListed()
    await dashboard.post({ payment_id: 'second', event: 'payment.pending' })
    await row(page, 'second').waitFor({ timeout: 2_000 })
    await dashboard.post({ payment_id: 'second' })
    await row(page, 'second').getByText('Completed').waitFor({ timeout: 2_000 })
    await shows(page, 'summary-completed', '2 Completed')
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

  test('the page polls when the stream is unavailable', async () => {
    const one = await openPage(browser)
    opened.push(one)
    const { page } = one
    await page.route(STREAM, respondError(503, 'SERVICE_UNAVAILABLE', 'The stream is unavailable'))
    await page.goto(`${dashboard.url}/payments`)
    await page.getByText('No payments yet').waitFor()
    await page.getByText('Not live: polls every 5 s', { exact: true }).waitFor()
    await dashboard.post({ payment_id: 'polled' })
    await page.clock.fastForward(5_000)
    await row(page, 'polled').waitFor()

    await page.unroute(STREAM)
    await page.clock.fastForward(60_000)
    await page.getByText('Live', { exact: true }).waitFor()
  })

  test('the page is not live while fetches fail, even with an open stream', async () => {
    await dashboard.post({ payment_id: 'kept' })
    const { page, requests } = await openListed()
    await page.route(LIST, respondError(503, 'SERVICE_UNAVAILABLE', 'The database is unavailable'))
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByText('Not live, retrying', { exact: true }).waitFor()
    await page.getByRole('alert').getByText('The database is unavailable').waitFor()
    expect(await page.getByText('Live', { exact: true }).count()).toBe(0)

    requests.length = 0
    await page.unroute(LIST)
    await page.clock.fastForward(5_000)
    await page.getByText('Live', { exact: true }).waitFor()
    await page.getByRole('alert').waitFor({ state: 'detached' })
    expect(requests).toContain('/payments/stream')
  })

  test('the page does not show a quick automatic fetch', async () => {
    await dashboard.post({})
    const { page } = await openListed()
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByTestId('fetching').waitFor()
    await page.getByTestId('fetching').waitFor({ state: 'detached' })
    await page.evaluate(`new MutationObserver(() => {
      window.fetchingShown ||= document.querySelector('[data-test-id="fetching"]') !== null
    }).observe(document.body, { childList: true, subtree: true })`)
    let posted = 0
    // On a busy machine a fetch may be slow, so the test tries until one is quick.
    await waitFor('a fetch that is not shown', async () => {
      const payment_id = `quick_${posted++}`
      await page.getByTestId('fetching').waitFor({ state: 'detached' })
      await page.evaluate('window.fetchingShown = false')
      await dashboard.post({ payment_id })
      await row(page, payment_id).waitFor()
      return (await page.evaluate('window.fetchingShown')) === false
    })
  })

  test('outside the sandbox the page shows a notice and sends no more requests', async () => {
    const one = await openPage(browser)
    opened.push(one)
    const { page, requests } = one
    await page.route('**/_api/**', respondError(401, 'AUTHENTICATION_ERROR', 'Open only with SANDBOX=true'))
    await page.goto(`${dashboard.url}/payments?payment=closed`)
    await page.getByTestId('event-trail').getByText('Open only with SANDBOX=true').waitFor()
    expect(await findViolations(page)).toEqual([])
    await page.keyboard.press('Escape')
    await page.getByRole('heading', { name: 'Closed outside the sandbox' }).waitFor()
    await page.getByText('Not live', { exact: true }).waitFor()
    expect(await page.getByRole('button', { name: 'Try again' }).count()).toBe(0)
    expect(await findViolations(page)).toEqual([])
    requests.length = 0
    await page.clock.fastForward('05:00')
    await setHidden(page, true)
    await setHidden(page, false)
    expect(requests).toEqual([])

    await page.unroute('**/_api/**')
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByText('Live', { exact: true }).waitFor()
    await page.getByText('No payments yet').waitFor()
  })

  test('a hidden page sends no requests, and a visible one reads again at once', async () => {
    await dashboard.post({ payment_id: 'before' })
    const { page, requests } = await openListed()
    // Earlier fetches have ended once this refresh has.
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByTestId('fetching').waitFor()
    await page.getByTestId('fetching').waitFor({ state: 'detached' })
    await setHidden(page, true)
    await page.getByText('Paused', { exact: true }).waitFor()
    requests.length = 0
    await dashboard.post({ payment_id: 'meanwhile' })
    await page.clock.fastForward('10:00')
    expect(requests).toEqual([])
    expect(await rowIds(page)).toEqual(['before'])

    await setHidden(page, false)
    await row(page, 'meanwhile').waitFor({ timeout: 2_000 })
    await page.getByText('Live', { exact: true }).waitFor()
    expect(requests).toContain('/payments/stream')
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
    const one = await openPage(browser)
    opened.push(one)
    const { page } = one
    const release = await hold(page)
    await page.goto(`${dashboard.url}/payments`)
    await page.locator('[data-test-id="payments-table"][aria-busy="true"]').waitFor()
    await page.getByTestId('fetching').waitFor()
    release()
    await page.getByText('No payments yet').waitFor()
    const command = await page.locator('pre').innerText()
    expect(command).toMatch(/^curl -X POST http.*\/webhooks\/payment/)
    expect(command).not.toContain('%')
    expect(await findViolations(page)).toEqual([])
    await choose(page, 'refunded')
    await page.getByText('No refunded payments').waitFor()
  })

  test('the page shows an error, keeps the data on it, and recovers by a retry', async () => {
    await dashboard.post({ payment_id: 'kept' })
    const { page } = await openListed()
    await page.route(LIST, respondError(503, 'SERVICE_UNAVAILABLE', 'The database is unavailable'))
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByRole('alert').getByText('The database is unavailable').waitFor()
    expect(await rowIds(page)).toEqual(['kept'])

    await choose(page, 'completed')
    await page.getByRole('heading', { name: 'Payments could not be read' }).waitFor()
    expect(await findViolations(page)).toEqual([])
    await page.unroute(LIST)
    await page.getByRole('button', { name: 'Try again' }).click()
    await row(page, 'kept').waitFor()
    await page.getByRole('alert').waitFor({ state: 'detached' })

    await page.route(LIST, respondError(401, 'AUTHENTICATION_ERROR', 'Invalid API credentials'))
    await choose(page, 'failed')
    await page.getByRole('heading', { name: 'Closed outside the sandbox' }).waitFor()
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
    await page.goto(`${dashboard.url}/payments?page=5000`)
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
      expect(await findViolations(page)).toEqual([])
      await row(page, 'completed').click()
      await page.getByTestId('trail-event').first().waitFor()
      expect(await findViolations(page)).toEqual([])
      await page.getByText('Payload').last().click()
      const payload = page.locator('pre').last()
      await payload.waitFor()
      expect(
        await payload.evaluate((element) => element.scrollHeight - element.clientHeight),
      ).toBeGreaterThan(0)
      expect(await findViolations(page)).toEqual([])
      await page.getByTestId('event-trail').getByRole('button', { name: 'Close' }).click()
    }
    await dashboard.clear()
    const { page } = await open('', { colorScheme })
    await page.getByText('No payments yet').waitFor()
    expect(await findViolations(page)).toEqual([])
  })
})
