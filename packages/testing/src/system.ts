// A whole running system for a test file: a database of its own, a queue, an API and workers, all stopped together.
import { createClient } from '@sluice/contracts'
import { type AppProcess, startApp } from './app-process.ts'
import { createDatabase, type TestDatabase } from './postgres.ts'
import { hasRedis, startRedis, type TestRedis } from './redis.ts'

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
  /** How often each transaction was ended, by a trigger: processing twice would show. */
  endings: () => Promise<Array<{ transaction_id: string; times: number }>>
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
    endings: () => database.query('SELECT transaction_id, times FROM endings ORDER BY transaction_id'),
    async stop() {
      await Promise.all([...apis, ...system.workers].map((app) => app.stop('SIGKILL')))
      await redis?.remove()
      await database.drop()
    },
  }
}

/** Counts, in the database itself, every time that a row goes from open to processed or changes after that. */
export async function countEndings(database: Pick<TestDatabase, 'query'>): Promise<void> {
  await database.query('CREATE TABLE endings (transaction_id text PRIMARY KEY, times int NOT NULL)')
  await database.query(`
    CREATE FUNCTION count_ending() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO endings VALUES (new.transaction_id, 1)
      ON CONFLICT (transaction_id) DO UPDATE SET times = endings.times + 1;
      RETURN NULL;
    END $$`)
  await database.query(`
    CREATE TRIGGER count_endings AFTER UPDATE OF processed_at ON transactions
    FOR EACH ROW WHEN (new.processed_at IS NOT NULL) EXECUTE FUNCTION count_ending()`)
}
