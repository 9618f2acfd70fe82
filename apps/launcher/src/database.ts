// The database of the system: the one that DATABASE_URL names, or an embedded server that the launcher keeps running.
import { spawn } from 'node:child_process'
import path from 'node:path'
import type { Config } from '@sluice/core/platform'
import {
  type Claim,
  claimDataDir,
  defaultDataDir,
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '@sluice/embedded-postgres'
import { nextDelayMs } from './backoff.ts'
import { LaunchError } from './errors.ts'
import { type Print, seconds } from './output.ts'
import { pause } from './stop-request.ts'

export interface LaunchedDatabase {
  url: string
  /** For the banner. */
  dataLocation: string
  stop(): Promise<void>
}

/** This launcher's hold on the data folder of the embedded server. */
export interface OwnData {
  dataDir: string
  claim: Claim
}

/**
 * Claims the embedded server's data; undefined if DATABASE_URL names another database.
 * @throws AlreadyRunningError when another launcher runs on it
 */
export function claimOwnData(
  { databaseUrl, dataDir }: Config,
  root: string,
  address: string,
): OwnData | undefined {
  if (databaseUrl) return undefined
  const folder = dataDir ? path.resolve(root, dataDir) : defaultDataDir(root)
  return { dataDir: folder, claim: claimDataDir(folder, address) }
}

/** An embedded server that dies comes back on the same port, so that connection strings stay valid. */
export async function startOwnDatabase(
  { dataDir, claim }: OwnData,
  stop: AbortSignal,
  print: Print,
): Promise<LaunchedDatabase> {
  const stopping = new AbortController()
  const start = (signal: AbortSignal, port?: number) =>
    startEmbeddedPostgres({ dataDir, claim, signal, log: print, ...(port && { port }) })
  let server: EmbeddedPostgres = await start(stop)

  const keepRunning = async () => {
    let delayMs: number | undefined
    for (;;) {
      const startedAt = Date.now()
      await server.exited
      if (stopping.signal.aborted) return
      delayMs = nextDelayMs(delayMs, Date.now() - startedAt)
      print(`PostgreSQL ended unexpectedly; starting it again in ${seconds(delayMs)}.`)
      await pause(delayMs, stopping.signal)
      if (stopping.signal.aborted) return
      try {
        server = await start(stopping.signal, server.port)
        if (stopping.signal.aborted) return await server.stop()
        print('PostgreSQL is back.')
      } catch (error) {
        // `server` is still the dead one, so the next round starts at once, with a longer pause.
        if (!stopping.signal.aborted) print(error instanceof Error ? error.message : String(error))
      }
    }
  }
  const kept = keepRunning()

  return {
    url: server.url,
    dataLocation: `${server.dataDir} (embedded PostgreSQL)`,
    async stop() {
      stopping.abort()
      await Promise.all([server.stop(), kept])
    },
  }
}

export function givenDatabase(url: string): LaunchedDatabase {
  const { hostname, port, pathname } = new URL(url)
  const place = `${hostname}${port && `:${port}`}${pathname}`
  return { url, dataLocation: `PostgreSQL at ${place} (DATABASE_URL)`, stop: async () => {} }
}

/** Brings the database up to date. @throws LaunchError with the output of the migration */
export async function migrate(root: string, env: NodeJS.ProcessEnv, stop: AbortSignal): Promise<void> {
  const child = spawn(process.execPath, ['--enable-source-maps', 'packages/core/dist/migrate.js'], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  const end = () => child.kill('SIGTERM')
  stop.addEventListener('abort', end)
  const code = await new Promise((resolve) => child.once('close', resolve))
  stop.removeEventListener('abort', end)
  if (code === 0 || stop.aborted) return
  throw new LaunchError(`${output.trim()}\nThe database could not be brought up to date (exit code ${code}).`)
}
