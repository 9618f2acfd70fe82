// Starts the embedded PostgreSQL server on a data folder: from the claim of the folder to a database that responds.
import { readFileSync, statSync } from 'node:fs'
import pg from 'pg'
import { findBinaries } from './binaries.ts'
import { type Claim, claim } from './claim.ts'
import { ensureCluster, readClusterPassword } from './cluster.ts'
import { type DataDir, openDataDir } from './data-dir.ts'
import { EmbeddedPostgresError } from './errors.ts'
import { startGuard } from './guard.ts'
import { freePort } from './ports.ts'
import {
  becomesReady,
  type Postmaster,
  type ServerExit,
  spawnPostmaster,
  stopPostmaster,
  takeOverLeftover,
} from './postmaster.ts'

export interface EmbeddedPostgresOptions {
  /** The folder of the files: created if missing, refused with a clear error if unusable. */
  dataDir: string
  /** The folder of root's copy of the programs; by default one of the clone under /var/tmp. */
  binDir?: string
  /** A free one by default. */
  port?: number
  /** Created if missing. */
  database?: string
  /** PostgreSQL settings over `LAPTOP_SETTINGS`. */
  settings?: Record<string, string | number>
  /** False trades the safety of the data for speed; for throw-away data only. */
  durable?: boolean
  /** From `claimDataDir`; without it the server claims its folder itself, and releases it in `stop`. */
  claim?: Claim
  /** Ends a start that is under way, with an error of code `stopped`. */
  signal?: AbortSignal
  /** Gets a sentence about each step that takes time or is unusual. */
  log?: (line: string) => void
}

export interface EmbeddedPostgres {
  url: string
  port: number
  pid: number
  dataDir: string
  /** Resolves when the server process is gone, for any reason. */
  exited: Promise<ServerExit>
  /** Fast shutdown; resolves when all its processes have ended. */
  stop(): Promise<void>
}

/** Modest enough for a laptop, roomy enough for bursts. Durability is PostgreSQL's default: on. */
export const LAPTOP_SETTINGS = {
  max_connections: 200,
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  // No replica follows this server, and less WAL is less to sync.
  wal_level: 'minimal',
  max_wal_senders: 0,
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  // Details and statements quote whole rows, which must not appear in a log.
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
} as const

const UNSAFE_SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } as const
const LEFT_SESSIONS_MS = 15_000

/**
 * Claims a data folder for this process before anything else is started on it.
 * @throws AlreadyRunningError when another live process owns it.
 */
export function claimDataDir(dataDir: string, address?: string): Claim {
  return claim(openDataDir(dataDir).root, address)
}

/** @throws EmbeddedPostgresError, AlreadyRunningError */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { database = 'sluice', signal, log = () => {} } = options
  const binaries = findBinaries(options.binDir)
  const dir = openDataDir(options.dataDir)
  const claimed = options.claim ?? claim(dir.root)
  const release = () => {
    if (!options.claim) claimed.release()
  }
  try {
    await ensureCluster(dir, binaries, signal)
    await takeOverLeftover(dir, log)
    const password = readClusterPassword(dir)
    const { server, port } = await startServer(binaries.postgres, dir, options)
    const guard = startGuard(server.pid)
    server.exited.then(guard.dismiss)
    const urlOf = (name: string) =>
      `postgresql://postgres:${password}@127.0.0.1:${port}/${encodeURIComponent(name)}`
    const stop = async () => {
      await stopPostmaster(server)
      release()
    }
    try {
      await createDatabase(urlOf('postgres'), database)
    } catch (error) {
      await stopPostmaster(server)
      throw error
    }
    return { url: urlOf(database), port, pid: server.pid, dataDir: dir.root, exited: server.exited, stop }
  } catch (error) {
    release()
    throw error
  }
}

/** Retries while a crashed predecessor's sessions end, and on another port if another process took the first. */
async function startServer(
  program: string,
  dir: DataDir,
  { port: wantedPort, settings, durable = true, signal, log }: EmbeddedPostgresOptions,
): Promise<{ server: Postmaster; port: number }> {
  const deadline = Date.now() + LEFT_SESSIONS_MS
  for (;;) {
    const port = wantedPort ?? (await freePort())
    const logStart = sizeOf(dir.log)
    const server = spawnPostmaster(program, dir, {
      ...LAPTOP_SETTINGS,
      ...(durable ? {} : UNSAFE_SETTINGS),
      ...settings,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      port,
    })
    if (await becomesReady(server, dir, signal)) return { server, port }
    await stopPostmaster(server)
    if (signal?.aborted) throw new EmbeddedPostgresError('stopped', 'Stopped while PostgreSQL was starting.')
    const output = readFrom(dir.log, logStart)
    const mayPass =
      output.includes('pre-existing shared memory block') ||
      (!wantedPort && output.includes('could not bind'))
    if (!mayPass || Date.now() > deadline) throw startFailed(dir, output)
    log?.('PostgreSQL is still busy with its last run; retrying.')
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}

function startFailed(dir: DataDir, output: string): EmbeddedPostgresError {
  const why = output.trim().split('\n').slice(-8).join('\n') || 'it logged nothing'
  return new EmbeddedPostgresError(
    'start_failed',
    `PostgreSQL did not start on ${dir.root} (all of its messages: ${dir.log}):\n${why}`,
  )
}

async function createDatabase(adminUrl: string, name: string): Promise<void> {
  // Without `ssl`, PGSSLMODE in the environment would decide.
  const client = new pg.Client({ connectionString: adminUrl, ssl: false })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name])
    if (!rowCount) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`)
  } finally {
    await client.end()
  }
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

/** `from` beyond the end means that a new log was started. */
function readFrom(file: string, from: number): string {
  const bytes = readFileSync(file)
  return bytes.subarray(from <= bytes.length ? from : 0).toString()
}
