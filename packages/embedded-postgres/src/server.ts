// Starts the embedded PostgreSQL server on a data folder, from claiming the folder to a database that answers.
import { readFileSync, statSync } from 'node:fs'
import pg from 'pg'
import { findBinaries } from './binaries.ts'
import { type Claim, claim } from './claim.ts'
import { ensureCluster, readPassword } from './cluster.ts'
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
  /** Where the files are, always: made if missing, refused with a clear error if unusable. */
  dataDir: string
  /** Where root's copy of the programs goes; by default a folder of the clone's own under /var/tmp. */
  binDir?: string
  /** A free one by default. */
  port?: number
  /** Made if missing. */
  database?: string
  /** PostgreSQL settings over `LAPTOP_SETTINGS`. */
  settings?: Record<string, string | number>
  /** False gives up the safety of the data for speed. Only ever for throw-away data. */
  durable?: boolean
  /** From `claimDataDir`; without it the server claims its folder itself, and releases it in `stop`. */
  claim?: Claim
  /** Ends a start that is under way, with an error of code `stopped`. */
  signal?: AbortSignal
  /** Told, in whole sentences, of what takes time or is out of the ordinary. */
  log?: (line: string) => void
}

export interface EmbeddedPostgres {
  url: string
  port: number
  pid: number
  dataDir: string
  /** Resolves when the server process is gone, asked to or not. */
  exited: Promise<ServerExit>
  /** Fast shutdown; resolves when nothing of it runs any more. */
  stop(): Promise<void>
}

/** Modest enough for a laptop, roomy enough for bursts. Durability is PostgreSQL's default: on. */
export const LAPTOP_SETTINGS = {
  max_connections: 200,
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  // Nobody replicates from this server, and less WAL is less to sync.
  wal_level: 'minimal',
  max_wal_senders: 0,
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  // Details and statements quote whole rows, and rows are nobody's business in a log.
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
    const password = readPassword(dir)
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

/** Tries again while a crashed predecessor's sessions are on their way out, and on another port if somebody took ours. */
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
    const said = readFrom(dir.log, logStart)
    const mayPass =
      said.includes('pre-existing shared memory block') || (!wantedPort && said.includes('could not bind'))
    if (!mayPass || Date.now() > deadline) throw startFailed(dir, said)
    log?.('PostgreSQL is still busy with its last run; trying again.')
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}

function startFailed(dir: DataDir, said: string): EmbeddedPostgresError {
  const why = said.trim().split('\n').slice(-8).join('\n') || 'it said nothing'
  return new EmbeddedPostgresError(
    'start_failed',
    `PostgreSQL did not start on ${dir.root} (all of its messages: ${dir.log}):\n${why}`,
  )
}

async function createDatabase(adminUrl: string, name: string): Promise<void> {
  // `ssl` is said because PGSSLMODE in somebody's environment would decide otherwise.
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

/** `from` beyond the end means that the log was begun anew. */
function readFrom(file: string, from: number): string {
  const bytes = readFileSync(file)
  return bytes.subarray(from <= bytes.length ? from : 0).toString()
}
