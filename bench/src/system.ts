// One Sluice: a fresh database, a queue backend, the API and a worker as processes of their own.
import { mkdirSync } from 'node:fs'
import { postTransaction } from '@sluice/contracts'
import type { TestRedis } from '@sluice/testing'
import { type Child, pick, startChild } from './child.ts'
import type { Database, DatabaseServer } from './database.ts'
import type { Janitor } from './janitor.ts'

export type Backend = 'redis' | 'postgres'

// What the caller may tune; all else is fixed, so that results compare.
const TUNABLE = ['LOG_LEVEL', 'WORKER_CONCURRENCY', 'DISPATCH_INTERVAL_MS', 'NODE_OPTIONS']

export type Environment = {
  janitor: Janitor
  databaseServer: DatabaseServer
  /** Undefined where redis-server is not installed. */
  redis: TestRedis | undefined
  /** Where V8 CPU profiles of API and worker go, if they are wanted. */
  profileDir: string | undefined
}

export type System = {
  api: Child
  database: Database
  /** Where transactions are posted. */
  postUrl: string
  startWorker(): Promise<Child>
  stop(): Promise<void>
}

export type SystemOptions = {
  backend: Backend
  processingDelayMs: number
  /** Further variables of API and worker. */
  env?: Record<string, string>
  /** Of Node, for the worker. */
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

/** Starts database and API; the worker when it is asked for, since one scenario measures it on its own. */
export async function startSystem(environment: Environment, options: SystemOptions): Promise<System> {
  const { janitor, databaseServer, redis, profileDir } = environment
  if (options.backend === 'redis') {
    if (redis === undefined) throw new Error('redis-server was not found on the PATH')
    await redis.flush() // another system's queues
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
