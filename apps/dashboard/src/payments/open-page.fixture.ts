// For the browser tests: a page that keeps what its console complained about, and what axe finds on it.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The requests that read the list. */
export const LIST = /\/_api\/payments\?/

const LIST_AND_SUMMARY = /\/_api\/payments(?:\?|\/summary)/

export interface OpenedPage {
  page: Page
  /** Errors and warnings of the console, and exceptions that nobody caught. */
  complaints: string[]
  /** Paths of the requests to the API, with their queries. */
  requests: string[]
}

/** A page of a fresh profile, with a clock that can be put forward. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<OpenedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  await page.clock.install()
  const complaints: string[] = []
  const requests: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // An error that the API answers is told by the browser itself; what the page makes of it is tested for.
    if (message.location().url.includes('/_api/')) return
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('request', (request) => {
    const [, path] = request.url().split('/_api')
    if (path !== undefined) requests.push(path)
  })
  return { page, complaints, requests }
}

/** What axe holds against the page as it is now: rule and element, empty when nothing. */
export async function findViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  // What is half faded in has half its contrast; endless animations are none that anything fades in by.
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

/** Keeps list and summary from answering until the returned function is called. */
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

/** As if the tab went behind another one, or came back. */
export async function setHidden(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { configurable: true, value })
    document.dispatchEvent(new Event('visibilitychange'))
  }, hidden)
}

/** How far the page can be scrolled sideways, in pixels. */
export const sidewaysOverflow = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
