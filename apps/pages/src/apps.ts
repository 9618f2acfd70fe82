// The page apps that this server can serve, by the name on its command line.
import path from 'node:path'
import type { Config } from '@sluice/core/platform'

export interface PageApp {
  /** The folder of the built files, with an index.html. */
  folder: string
  port: (config: Config) => number
  /** Named in the message if the port is taken. */
  portVariable: string
  /** Who may show the pages in a frame, as in CSP's `frame-ancestors`. */
  frameAncestors: string
}

const built = (name: string) => path.resolve(import.meta.dirname, '../..', name, 'dist')

export const apps: ReadonlyMap<string, PageApp> = new Map([
  [
    'dashboard',
    {
      folder: built('dashboard'),
      port: (config) => config.dashboardPort,
      portVariable: 'DASHBOARD_PORT',
      frameAncestors: "'none'",
    },
  ],
])
