// Browser tests' pages: they record console errors, warnings and requests, and run axe.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The requests that read the list. */
export const LIST = /\/_api\/payments\?/

const LIST_AND_SUMMARY = /\/_api\/payments(?:\?|\/summary)/

export interface OpenedPage {
  page: Page
  /** Errors and warnings of the console, and uncaught exceptions. */
  complaints: string[]
  /** Paths of the requests to the API, with their queries. */
  requests: string[]
}

/** Opens a page of a fresh profile, with a clock that a test can move forward. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<OpenedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  await page.clock.install()
  const complaints: string[] = []
  const requests: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // The browser itself logs error responses of the API; tests check how the page shows them.
    if (message.location().url.includes('/_api/')) return
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('request', (request) => {
    const [, path] = request.url().split('/_api')
    if (path !== undefined) requests.push(path)
  })
  return { page, complaints, requests }
}

/** Runs axe and returns the violations on the page, as rule and element. */
export async function findAxeViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  // During a fade the contrast is lower, so this waits for animations that end.
  await page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter(({ effect }) => effect?.getComputedTiming().endTime !== Number.POSITIVE_INFINITY)
        .map(({ finished }) => finished),
    ).then(() => undefined),
  )
  return page.evaluate(`axe.run().then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ': ' + html)))`)
}

/** Holds the responses of list and summary back until the returned function is called. */
export async function hold(page: Page): Promise<() => void> {
  const { promise, resolve } = withResolvers()
  await page.route(LIST_AND_SUMMARY, async (route) => {
    await promise
    await route.continue()
  })
  return resolve
}

function withResolvers() {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

/** Hides the tab, as another tab in front of it does, or shows it again. */
export async function setHidden(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { configurable: true, value })
    document.dispatchEvent(new Event('visibilitychange'))
  }, hidden)
}

/** How far the page scrolls horizontally, in pixels. */
export const sidewaysOverflow = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
