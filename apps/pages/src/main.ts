// The process of a page server: `main.js dashboard` serves the dashboard's built files, and the API below /_api.
import {
  createLogger,
  createMetrics,
  gracefulShutdown,
  localAddress,
  readConfig,
  reportReady,
  runService,
  StartupError,
} from '@sluice/core/platform'
import { apps, type PageApp } from './apps.ts'
import { buildServer } from './server.ts'

const name = process.argv[2] ?? ''
const pageApp = apps.get(name)

await runService(pageApp?.portVariable ?? '', async () => {
  if (pageApp === undefined) {
    const given = name === '' ? 'none was given' : `not "${name}"`
    throw new StartupError(`The argument must name a page app (${[...apps.keys()].join(', ')}); ${given}.`)
  }
  await main(pageApp)
})

async function main({ folder, frameAncestors, port: portOf }: PageApp): Promise<void> {
  const config = readConfig(process.env)
  const log = createLogger(config, name)
  const app = await buildServer({ folder, frameAncestors, config, metrics: createMetrics(), log })
  gracefulShutdown(log, () => app.close())

  await app.listen({ host: config.host, port: portOf(config) })
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : portOf(config)
  const url = localAddress(config.host, port)
  log.info({ url, apiUrl: config.apiUrl }, 'the pages are served')
  reportReady({ url })
}
