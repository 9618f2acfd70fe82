// The browser for tests of pages: the machine's own Chromium. Without one these tests are skipped.
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { type Browser, chromium, selectors } from 'playwright-core'

const candidates = [
  process.env.CHROMIUM_PATH,
  ...['chromium', 'google-chrome'].flatMap((name) =>
    (process.env.PATH ?? '').split(path.delimiter).map((folder) => path.join(folder, name)),
  ),
  '/usr/bin/chromium',
]

/** The path of the browser: `CHROMIUM_PATH`, then the PATH; undefined without an executable one. */
export const browserPath: string | undefined = candidates.find(
  (file) => file !== undefined && file !== '' && isExecutable(file),
)

/** A headless browser that runs as root and in containers, and renders the same everywhere. Test ids are `data-test-id`. */
export function launchBrowser(): Promise<Browser> {
  if (browserPath === undefined) throw new Error('There is no browser: set CHROMIUM_PATH')
  selectors.setTestIdAttribute('data-test-id')
  return chromium.launch({
    executablePath: browserPath,
    headless: true,
    timeout: 30_000,
    args: [
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--hide-scrollbars',
      '--force-color-profile=srgb',
      '--font-render-hinting=none',
    ],
  })
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
