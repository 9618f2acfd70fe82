// Tests of the fresh page in a real browser: stream, polling, errors, hidden tabs, the fetch indicator.
import { browserPath, waitFor } from '@sluice/testing'
import { describe, expect, test } from 'vitest'
import { findAxeViolations, hold, LIST, setHidden } from './open-page.fixture.ts'
import {
  choose,
  respondError,
  row,
  rowIds,
  setUpPaymentsPages,
  shows,
  textOf,
} from './payments-page.fixture.ts'

const STREAM = '**/_api/payments/stream'

describe.skipIf(browserPath === undefined)('live updates', () => {
  const { dashboard, url, openBlank, openListed } = setUpPaymentsPages()

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

  test('the page polls when the stream is unavailable', async () => {
    const { page } = await openBlank()
    await page.route(STREAM, respondError(503, 'SERVICE_UNAVAILABLE', 'The stream is unavailable'))
    await page.goto(url('/payments'))
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
    const { page, requests } = await openBlank()
    await page.route('**/_api/**', respondError(401, 'AUTHENTICATION_ERROR', 'Open only with SANDBOX=true'))
    await page.goto(url('/payments?payment=closed'))
    await page.getByTestId('event-trail').getByText('Open only with SANDBOX=true').waitFor()
    expect(await findAxeViolations(page)).toEqual([])
    await page.keyboard.press('Escape')
    await page.getByRole('heading', { name: 'Closed outside the sandbox' }).waitFor()
    await page.getByText('Not live', { exact: true }).waitFor()
    expect(await page.getByRole('button', { name: 'Try again' }).count()).toBe(0)
    expect(await findAxeViolations(page)).toEqual([])
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

  test('the page shows an error, keeps the data on it, and recovers by a retry', async () => {
    await dashboard.post({ payment_id: 'kept' })
    const { page } = await openListed()
    await page.route(LIST, respondError(503, 'SERVICE_UNAVAILABLE', 'The database is unavailable'))
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByRole('alert').getByText('The database is unavailable').waitFor()
    expect(await rowIds(page)).toEqual(['kept'])

    await choose(page, 'completed')
    await page.getByRole('heading', { name: 'Payments could not be read' }).waitFor()
    expect(await findAxeViolations(page)).toEqual([])
    await page.unroute(LIST)
    await page.getByRole('button', { name: 'Try again' }).click()
    await row(page, 'kept').waitFor()
    await page.getByRole('alert').waitFor({ state: 'detached' })

    await page.route(LIST, respondError(401, 'AUTHENTICATION_ERROR', 'Invalid API credentials'))
    await choose(page, 'failed')
    await page.getByRole('heading', { name: 'Closed outside the sandbox' }).waitFor()
  })
})
