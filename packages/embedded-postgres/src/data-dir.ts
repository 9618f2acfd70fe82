// The data folder: created, checked and marked as Sluice's before anything is written into it.
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { type Account, firstClosedFolder, serverAccount } from './account.ts'
import { EmbeddedPostgresError, errorCode } from './errors.ts'

export interface DataDir {
  /** Absolute and without links, so that it can be compared with a server's command line. */
  root: string
  /** PostgreSQL's own files (its "data directory"). */
  cluster: string
  /** PostgreSQL's messages. */
  log: string
  /** The account that the server runs as; undefined: the current user. */
  account?: Account
}

const MARKER = 'SLUICE.txt'
const MARKER_TEXT =
  "This folder holds the data of Sluice's embedded PostgreSQL server (postgres/) and its messages (postgres.log).\nDelete it as a whole, while Sluice is stopped, to begin with an empty database.\n"
const IGNORED_FILES = new Set(['lost+found', '.DS_Store'])

/** @throws EmbeddedPostgresError with the reason, in one line, why this folder can't be used */
export function openDataDir(dataDir: string): DataDir {
  const root = makeFolder(path.resolve(dataDir))
  const cluster = path.join(root, 'postgres')
  refuseForeignFiles(root)
  const account = accountFor(root, cluster)
  const marker = path.join(root, MARKER)
  if (!existsSync(marker)) writeFileSync(marker, MARKER_TEXT)
  return { root, cluster, log: path.join(root, 'postgres.log'), ...(account && { account }) }
}

function makeFolder(dataDir: string): string {
  try {
    makeWithParents(dataDir)
    if (!statSync(dataDir).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' })
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
    return realpathSync(dataDir)
  } catch (error) {
    throw unusable(dataDir, reasonOf(error))
  }
}

/** Not `recursive: true`: Node's own loops for ever where no folder can be created, as in /proc. */
function makeWithParents(folder: string): void {
  if (existsSync(folder)) return
  makeWithParents(path.dirname(folder))
  try {
    mkdirSync(folder)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  }
}

function reasonOf(error: unknown): string {
  switch (errorCode(error)) {
    case 'EEXIST':
    case 'ENOTDIR':
      return "it, or something on the way to it, isn't a folder"
    case 'EACCES':
    case 'EPERM':
      return 'this user may not write there'
    case 'ENOENT':
      return 'no folder can be made there'
    case 'EROFS':
      return 'it lies on a read-only file system'
    default:
      return error instanceof Error ? error.message : String(error)
  }
}

/** A typo in DATA_DIR must not fill a home folder with database files, or use the files of another server. */
function refuseForeignFiles(root: string): void {
  const names = readdirSync(root).filter((name) => !IGNORED_FILES.has(name))
  if (names.length === 0 || names.includes(MARKER)) return
  const what = names.includes('PG_VERSION')
    ? `the files of another PostgreSQL server (version ${readFileSync(path.join(root, 'PG_VERSION'), 'utf8').trim()})`
    : `other files (${names[0]}, …)`
  throw new EmbeddedPostgresError(
    'foreign_files',
    `DATA_DIR ${root} holds ${what}, not Sluice's data: choose an empty or a new folder.`,
  )
}

function accountFor(root: string, cluster: string): Account | undefined {
  const account = serverAccount()
  if (!account) return undefined
  const owner = existsSync(cluster) ? lstatSync(cluster) : undefined
  if (owner?.uid === 0) {
    throw unusable(
      root,
      `its files belong to root, and PostgreSQL refuses to run as root; run: chown -R ${account.name} '${cluster}'`,
    )
  }
  const runsAs = owner ? { uid: owner.uid, gid: owner.gid, name: `user ${owner.uid}` } : account
  letIn(root)
  const closed = firstClosedFolder(runsAs, root)
  if (closed) {
    throw unusable(
      root,
      `root starts PostgreSQL as "${runsAs.name}", and that account may not enter ${closed}; choose another folder, or run: chmod o+x '${closed}'`,
    )
  }
  return runsAs
}

/** A folder from mktemp is 0700. Other accounts may enter it: the private files in it have private modes. */
function letIn(root: string): void {
  const stat = statSync(root)
  if (stat.uid === 0 && (stat.mode & 0o001) === 0) chmodSync(root, (stat.mode & 0o777) | 0o011)
}

const unusable = (dataDir: string, why: string) =>
  new EmbeddedPostgresError('unusable_data_dir', `DATA_DIR ${dataDir} can't be used: ${why}.`)
