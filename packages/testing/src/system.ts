// A whole running system for a test file: a database of its own, a queue, an API and workers, all stopped together.
import { createClient } from '@sluice/contracts'
import { type AppProcess, startApp } from './app-process.ts'
import { countEndings, countOpen, type Ending, findFaults, readEndings } from './effects.ts'
import { createDatabase, type TestDatabase } from './postgres.ts'
import { hasRedis, startRedis, type TestRedis } from './redis.ts'
import { waitFor } from './wait.ts'

export type QueueBackend = 'postgresql' | 'redis'

/** For `describe.for`: what runs on both backends; the Redis half is skipped where there is no redis-server. */
export const queueBackends: ReadonlyArray<{ backend: QueueBackend; available: boolean }> = [
  { backend: 'postgresql', available: true },
  { backend: 'redis', available: hasRedis },
]

export interface TestSystem {
  database: TestDatabase
  /** Only with the queue on Redis. */
  redis: TestRedis | undefined
  /** What API and workers are started with. */
  env: Record<string, string | undefined>
  api: AppProcess
  workers: AppProcess[]
  call: ReturnType<typeof createClient>
  startWorker: () => Promise<AppProcess>
  startApi: () => Promise<AppProcess>
  /** How often each row's work was ended, by a trigger: doing it twice would show. */
  endings: () => Promise<Ending[]>
  /** Waits until nothing is open; answers what is not as it should be: see `findFaults`. */
  settle: (acknowledged: ReadonlySet<string>, timeoutMs?: number) => Promise<string[]>
  stop: () => Promise<void>
}

export interface SystemOptions {
  /** The run's server, or one of the test's own. */
  postgresUrl: string
  backend?: QueueBackend
  workers?: number
  env?: Record<string, string>
}

export async function startSystem(options: SystemOptions): Promise<TestSystem> {
  const database = await createDatabase(options.postgresUrl)
  await countEndings(database)
  return startSystemOn(database, options)
}

/** The same on a database that is there already. */
export async function startSystemOn(
  database: TestDatabase,
  { backend = 'postgresql', workers = 1, env = {} }: Omit<SystemOptions, 'postgresUrl'>,
): Promise<TestSystem> {
  const redis = backend === 'redis' ? await startRedis() : undefined
  const system = {
    database,
    redis,
    env: {
      DATABASE_URL: database.url,
      REDIS_URL: redis?.url,
      TRANSACTION_PROCESSING_DELAY_MS: '1000',
      PROCESSING_DELAY_MIN: '0',
      PROCESSING_DELAY_MAX: '0',
      REFUND_DELAY_MIN: '0',
      REFUND_DELAY_MAX: '0',
      ...env,
    },
    workers: [] as AppProcess[],
  }
  const startWorker = async () => {
    const worker = await startApp('worker', system.env)
    system.workers.push(worker)
    return worker
  }
  const apis: AppProcess[] = []
  const startApi = async () => {
    const api = await startApp('api', system.env)
    apis.push(api)
    return api
  }
  const [api] = await Promise.all([startApi(), ...Array.from({ length: workers }, startWorker)])
  return {
    ...system,
    api,
    call: createClient(api.url),
    startWorker,
    startApi,
    endings: () => readEndings(database),
    async settle(acknowledged, timeoutMs = 30_000) {
      await waitFor('nothing to be open', async () => (await countOpen(database)) === 0, {
        timeoutMs,
        intervalMs: 200,
      })
      return findFaults(database, acknowledged)
    },
    async stop() {
      await Promise.all([...apis, ...system.workers].map((app) => app.stop('SIGKILL')))
      await redis?.remove()
      await database.drop()
    },
  }
}
