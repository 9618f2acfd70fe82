// A whole running system for a test file: a database of its own, a queue, an API and workers, all stopped together.
import { createClient } from '@sluice/contracts'
import { type AppProcess, startApp } from './app-process.ts'
import { type CompletedRow, countCompletions, countOpen, findFaults, readCompletions } from './effects.ts'
import { createDatabase, type TestDatabase } from './postgres.ts'
import { hasRedis, startRedis, type TestRedis } from './redis.ts'
import { waitFor } from './wait.ts'

export type QueueBackend = 'postgresql' | 'redis'

/** For `describe.for`: tests that run on both backends. The Redis half is skipped where there is no redis-server. */
export const queueBackends: ReadonlyArray<{ backend: QueueBackend; available: boolean }> = [
  { backend: 'postgresql', available: true },
  { backend: 'redis', available: hasRedis },
]

export interface TestSystem {
  database: TestDatabase
  /** Only with the queue on Redis. */
  redis: TestRedis | undefined
  /** The environment of the API and the workers. */
  env: Record<string, string | undefined>
  api: AppProcess
  workers: AppProcess[]
  call: ReturnType<typeof createClient>
  startWorker: () => Promise<AppProcess>
  startApi: () => Promise<AppProcess>
  /** How often each row's work was completed, counted by a trigger. */
  completions: () => Promise<CompletedRow[]>
  /** Waits until no row has work left; returns the problems that `findFaults` finds. */
  settle: (acknowledged: ReadonlySet<string>, timeoutMs?: number) => Promise<string[]>
  stop: () => Promise<void>
}

export interface SystemOptions {
  /** The run's server, or a server of the test's own. */
  postgresUrl: string
  backend?: QueueBackend
  workers?: number
  env?: Record<string, string>
}

export async function startSystem(options: SystemOptions): Promise<TestSystem> {
  const database = await createDatabase(options.postgresUrl)
  await countCompletions(database)
  return startSystemOn(database, options)
}

/** The same on an existing database. */
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
    completions: () => readCompletions(database),
    async settle(acknowledged, timeoutMs = 30_000) {
      await waitFor('no row to have work left', async () => (await countOpen(database)) === 0, {
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
