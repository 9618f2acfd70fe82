// What the page server is built from, and every route of it takes.
import type { Config, Logger, Metrics } from '@sluice/core/platform'

export interface ServerDeps {
  /** The folder of the app's built files, with an index.html. */
  folder: string
  /** Who may show the pages in a frame, as in CSP's `frame-ancestors`. */
  frameAncestors: string
  config: Pick<Config, 'apiUrl' | 'publicApiUrl' | 'trustProxy'>
  metrics: Metrics
  log: Logger
  /** How long the API may be silent before its response begins; tests set a shorter time. */
  responseTimeoutMs?: number
}
