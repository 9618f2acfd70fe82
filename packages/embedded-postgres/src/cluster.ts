// PostgreSQL's own files: initdb makes them beside their final place, so a killed initdb leaves nothing half made.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import type { Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import type { DataDir } from './data-dir.ts'
import { EmbeddedPostgresError } from './errors.ts'

/** PostgreSQL ignores unknown files, so the password file is among its files and moves with them. */
const PASSWORD = 'sluice-password'
const DRAFT = 'initdb-'

/** Makes the cluster if there is none; refuses one of another major version. The caller must hold the claim. */
export async function ensureCluster(dir: DataDir, binaries: Binaries, signal?: AbortSignal): Promise<void> {
  removeDrafts(dir.root)
  if (!existsSync(path.join(dir.cluster, 'PG_VERSION'))) return create(dir, binaries, signal)
  const found = readFileSync(path.join(dir.cluster, 'PG_VERSION'), 'utf8').trim()
  if (found === binaries.major) return
  throw new EmbeddedPostgresError(
    'other_version',
    `PostgreSQL ${found} wrote the data in ${dir.root}, but this Sluice has PostgreSQL ${binaries.major}. Start it with the Sluice that wrote it and export what you need. Or set DATA_DIR to a new folder, or delete this one, to start with an empty database.`,
  )
}

export function readClusterPassword(dir: Pick<DataDir, 'root' | 'cluster'>): string {
  try {
    return readFileSync(path.join(dir.cluster, PASSWORD), 'utf8').trim()
  } catch {
    throw new EmbeddedPostgresError(
      'foreign_files',
      `The file ${path.join(dir.cluster, PASSWORD)} is missing or unreadable, so no client can log in. Restore it, or set DATA_DIR to a new folder.`,
    )
  }
}

/** The environment of PostgreSQL's programs: without PGDATA, PGOPTIONS or a locale of the user. */
export const serverEnv = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' })

async function create(dir: DataDir, binaries: Binaries, signal?: AbortSignal): Promise<void> {
  const draft = path.join(dir.root, DRAFT + randomBytes(4).toString('hex'))
  const passwordFile = `${draft}.password`
  const password = randomBytes(18).toString('base64url')
  try {
    writePrivately(passwordFile, password, dir.account)
    mkdirSync(draft, { mode: 0o700 })
    if (dir.account) chownSync(draft, dir.account.uid, dir.account.gid)
    await initdb(binaries.initdb, draft, passwordFile, dir, signal)
    writePrivately(path.join(draft, PASSWORD), password, dir.account)
    renameSync(draft, dir.cluster)
    syncFolder(dir.root)
  } finally {
    rmSync(passwordFile, { force: true })
    rmSync(draft, { recursive: true, force: true })
  }
}

function initdb(
  program: string,
  draft: string,
  passwordFile: string,
  dir: DataDir,
  signal?: AbortSignal,
): Promise<void> {
  const args = [
    ['--pgdata', draft],
    ['--username', 'postgres', '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
    ['--encoding', 'UTF8', '--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
    ['--no-instructions'],
  ].flat()
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...runAs(dir.account),
      cwd: dir.root,
      env: serverEnv(),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a group of its own: the launcher passes Ctrl-C on
      ...(signal && { signal }),
    })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    child.once('error', (error) => {
      if (!signal?.aborted) reject(failed(error.message))
    })
    child.once('close', (code) => {
      if (code === 0) resolve()
      else if (signal?.aborted)
        reject(new EmbeddedPostgresError('stopped', 'Stopped while PostgreSQL was being set up.'))
      else reject(failed(output.trim()))
    })
  })
}

const failed = (why: string) =>
  new EmbeddedPostgresError('initdb_failed', `PostgreSQL's files could not be made (initdb):\n${why}`)

export const runAs = (account?: Account) => (account ? { uid: account.uid, gid: account.gid } : {})

function removeDrafts(root: string): void {
  for (const name of readdirSync(root)) {
    if (name.startsWith(DRAFT)) rmSync(path.join(root, name), { recursive: true, force: true })
  }
}

function writePrivately(file: string, text: string, account?: Account): void {
  const fd = openSync(file, 'wx', 0o600)
  writeSync(fd, text)
  fsyncSync(fd)
  closeSync(fd)
  if (account) chownSync(file, account.uid, account.gid)
}

/** initdb has synced the files; this makes their new name durable too. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  fsyncSync(fd)
  closeSync(fd)
}
