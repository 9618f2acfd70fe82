// For the browser tests of the payments page: a dashboard and a browser for each file, and readers of the page.
import { launchBrowser, waitFor } from '@sluice/testing'
import type { Browser, BrowserContextOptions, Page, Route } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { type OpenedPage, openPage } from './open-page.fixture.ts'
import { type Dashboard, startDashboard } from './start-dashboard.fixture.ts'

export interface PaymentsPages {
  dashboard: Pick<Dashboard, 'post' | 'addCopies' | 'clear'>
  url: (path: string) => string
  /** A page without an address yet. */
  openBlank: (options?: BrowserContextOptions) => Promise<OpenedPage>
  open: (search?: string, options?: BrowserContextOptions) => Promise<OpenedPage>
  /** Opens the page, and waits until it lists payments and its stream is open. */
  openListed: (search?: string, options?: BrowserContextOptions) => Promise<OpenedPage>
}

/** Starts both before the tests of a describe block. Each test begins without payments and fails on console errors. */
export function setUpPaymentsPages(): PaymentsPages {
  let browser: Browser
  let dashboard: Dashboard
  let opened: OpenedPage[] = []

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

  async function openBlank(options: BrowserContextOptions = {}) {
    const one = await openPage(browser, options)
    opened.push(one)
    return one
  }

  async function open(search = '', options: BrowserContextOptions = {}) {
    const one = await openBlank(options)
    await one.page.goto(`${dashboard.url}/payments${search}`)
    return one
  }

  async function openListed(search = '', options: BrowserContextOptions = {}) {
    const one = await open(search, options)
    await one.page.getByTestId('payment-row').first().waitFor()
    await one.page.getByText('Live', { exact: true }).waitFor()
    return one
  }

  return {
    dashboard: {
      post: (event) => dashboard.post(event),
      addCopies: (paymentId, count) => dashboard.addCopies(paymentId, count),
      clear: () => dashboard.clear(),
    },
    url: (path) => dashboard.url + path,
    openBlank,
    open,
    openListed,
  }
}

export const row = (page: Page, id: string) =>
  page.locator(`[data-test-id="payment-row"][data-payment-id=${JSON.stringify(id)}]`)

export const rowIds = (page: Page) =>
  page
    .getByTestId('payment-row')
    .evaluateAll((rows) => rows.map((one) => one.getAttribute('data-payment-id')))

export const choose = (page: Page, status: string) =>
  page.getByTestId('status-filter').locator(`[data-status="${status}"]`).click()

export const textOf = (page: Page, testId: string) => page.getByTestId(testId).first().innerText()

/** Waits for a text, because the page fetches list and summary separately. */
export const shows = (page: Page, testId: string, text: string | RegExp) =>
  waitFor(`${testId} to show ${text}`, async () => {
    const shown = await textOf(page, testId)
    if (typeof text === 'string' ? shown !== text : !text.test(shown)) throw new Error(`It shows ${shown}`)
    return true
  })

export const respondError = (status: number, code: string, description: string) => (route: Route) =>
  route.fulfill({ status, json: { error: { code, description } } })
