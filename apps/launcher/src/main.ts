// The launcher: `npm start` in one function. It ends all that it has started, in reverse order.
import { randomBytes } from 'node:crypto'
import { ConfigError } from '@sluice/core/platform'
import { EmbeddedPostgresError } from '@sluice/embedded-postgres'
import { banner } from './banner.ts'
import { claimOwnData, givenDatabase, migrate, startOwnDatabase } from './database.ts'
import { watchSources } from './dev-watch.ts'
import { readEnvironment, requireFreePorts } from './environment.ts'
import { LaunchError } from './errors.ts'
import { print, surviveClosedOutput } from './output.ts'
import { aborted, listenForStop } from './stop-request.ts'
import { supervise } from './supervisor.ts'

export interface LaunchOptions {
  /** The clone. */
  root: string
  /** Compile and restart on every change of the sources. */
  watch?: boolean
}

/** How long the processes of a killed launcher may take to release their ports. */
const FORMER_OWNER_MS = 13_000

/** Runs the system until a signal stops it. Resolves to the exit code once all its processes have ended. */
export async function launch({ root, watch = false }: LaunchOptions): Promise<number> {
  surviveClosedOutput()
  const { stop, force } = listenForStop()
  const endings: (() => unknown)[] = []
  try {
    const { config, env } = await readEnvironment(root)
    const ownData = claimOwnData(config, root, config.publicApiUrl)
    if (ownData) endings.push(ownData.claim.release)
    const waitMs = ownData?.claim.tookOver ? FORMER_OWNER_MS : 0
    await requireFreePorts(config, { waitMs, print, stop })
    if (stop.aborted) return 0

    const database = ownData
      ? await startOwnDatabase(ownData, stop, print)
      : givenDatabase(config.databaseUrl!)
    endings.push(database.stop)
    const childEnv = { ...env, DATABASE_URL: database.url }
    await migrate(root, childEnv, stop)
    if (stop.aborted) return 0

    const apps = [
      { name: 'API', script: 'apps/api/dist/main.js', env: childEnv },
      { name: 'worker', script: 'apps/worker/dist/main.js', env: childEnv },
      // Its API is the one above unless API_URL is set: it reads the same HOST and PORT.
      { name: 'dashboard', script: 'apps/pages/dist/main.js', args: ['dashboard'], env },
    ].map((app) => supervise(app, root, print))
    endings.push(() => Promise.all(apps.map((app) => app.stop(force))))
    await Promise.race([Promise.all(apps.map((app) => app.ready)), aborted(stop)])
    if (stop.aborted) return 0

    const tag = randomBytes(6).toString('hex')
    print(banner({ config, dataLocation: database.dataLocation, tag, now: new Date(), watch }))
    const restartAll = () => {
      for (const app of apps) app.restart()
    }
    if (watch) endings.push(watchSources(root, print, restartAll))
    await aborted(stop)
    return 0
  } catch (error) {
    if (stop.aborted) return 0
    console.error(isForPeople(error) ? error.message : error)
    return 1
  } finally {
    if (stop.aborted) print('Stopping …')
    for (const end of endings.reverse()) await Promise.resolve().then(end).catch(console.error) // each one, even if others fail
    if (stop.aborted) print('Stopped.')
  }
}

const isForPeople = (error: unknown): error is Error =>
  error instanceof LaunchError || error instanceof ConfigError || error instanceof EmbeddedPostgresError
