// Starts one Sluice: a fresh database, a queue backend, and processes for the API and a worker.
import { mkdirSync } from 'node:fs'
import { postTransaction } from '@sluice/contracts'
import type { TestRedis } from '@sluice/testing'
import { type Child, pick, startChild } from './child.ts'
import type { BenchDatabase, DatabaseServer } from './database.ts'
import type { Janitor } from './janitor.ts'

export type BenchBackend = 'redis' | 'postgres'

// Variables that the caller may set. All others are fixed, so that results compare.
const TUNABLE = ['LOG_LEVEL', 'WORKER_CONCURRENCY', 'DISPATCH_INTERVAL_MS', 'NODE_OPTIONS']

export type BenchEnvironment = {
  janitor: Janitor
  databaseServer: DatabaseServer
  /** Undefined where redis-server is not installed. */
  redis: TestRedis | undefined
  /** The folder for V8 CPU profiles of API and worker; undefined: no profiles. */
  profileDir: string | undefined
}

export type System = {
  api: Child
  database: BenchDatabase
  /** The URL for transactions. */
  postUrl: string
  startWorker(): Promise<Child>
  stop(): Promise<void>
}

export type BenchSystemOptions = {
  backend: BenchBackend
  processingDelayMs: number
  /** Further variables of API and worker. */
  env?: Record<string, string>
  /** Node options of the worker. */
  workerArgs?: readonly string[]
}

export function systemSettings(processingDelayMs: number): Record<string, string> {
  return {
    NODE_ENV: 'production',
    SANDBOX: 'true',
    LOG_LEVEL: 'warn',
    HOST: '127.0.0.1',
    PORT: '0',
    WORKER_METRICS_PORT: '0',
    TRANSACTION_PROCESSING_DELAY_MS: String(processingDelayMs),
    ...pick(process.env, TUNABLE),
  }
}

/** Starts database and API. The caller starts the worker, since one scenario measures it alone. */
export async function startBenchSystem(
  environment: BenchEnvironment,
  options: BenchSystemOptions,
): Promise<System> {
  const { janitor, databaseServer, redis, profileDir } = environment
  if (options.backend === 'redis') {
    if (redis === undefined) throw new Error('redis-server was not found on the PATH')
    await redis.flush() // the queues of an earlier system
  }
  const database = await databaseServer.createDatabase()
  const env = {
    ...systemSettings(options.processingDelayMs),
    ...options.env,
    DATABASE_URL: database.url,
    ...(options.backend === 'redis' && redis !== undefined ? { REDIS_URL: redis.url } : {}),
  }
  const children: Child[] = []
  const start = async (name: string, module: string, args: readonly string[] = []) => {
    const execArgv = [...profileArgs(profileDir, name), ...args]
    const child = await startChild(janitor, { name, module, env, execArgv })
    children.push(child)
    return child
  }

  const api = await start('API', 'apps/api/dist/main.js')
  return {
    api,
    database,
    postUrl: new URL(postTransaction.url, api.url).href,
    startWorker: () => start('worker', 'apps/worker/dist/main.js', options.workerArgs),
    async stop() {
      await Promise.all(children.map((child) => child.stop()))
      await database.drop()
    },
  }
}

function profileArgs(profileDir: string | undefined, name: string): string[] {
  if (profileDir === undefined) return []
  mkdirSync(profileDir, { recursive: true })
  return ['--cpu-prof', `--cpu-prof-dir=${profileDir}`, `--cpu-prof-name=${name}-${Date.now()}.cpuprofile`]
}
