// Root's folder outside the clone: a clone may lie where no other account can go, but PostgreSQL has to run as another account.
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { isRoot } from './account.ts'
import { EmbeddedPostgresError, errorCode } from './errors.ts'

/** The persistent one (/tmp may be emptied at every boot), named after the clone so that two clones don't meet. */
export function rootFolderOf(cloneRoot: string): string {
  const name = createHash('sha256').update(realpathSync(cloneRoot)).digest('hex').slice(0, 12)
  return path.join('/var/tmp', `sluice-${name}`)
}

/** Where the data lies unless DATA_DIR says otherwise. For root this makes, or refuses, the folder that holds it. */
export function defaultDataDir(cloneRoot: string): string {
  if (!isRoot()) return path.join(cloneRoot, '.data')
  return path.join(ensureRootFolder(rootFolderOf(cloneRoot)), 'data')
}

/** Anybody may create names in /var/tmp, so a folder that root hasn't made itself is never used: it could be swapped or a link. */
export function ensureRootFolder(folder: string): string {
  try {
    mkdirSync(folder, { mode: 0o755 })
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  }
  const stat = lstatSync(folder)
  const problem = stat.isSymbolicLink()
    ? 'is a symbolic link'
    : !stat.isDirectory()
      ? "isn't a folder"
      : stat.uid !== 0
        ? `belongs to user ${stat.uid} instead of root`
        : stat.mode & 0o022
          ? 'may be written to by others'
          : undefined
  if (problem) {
    throw new EmbeddedPostgresError(
      'unsafe_folder',
      `${folder} ${problem}, so root won't run PostgreSQL from it. Remove it and start again.`,
    )
  }
  chmodSync(folder, 0o755) // a strict umask would keep the server's account out
  return folder
}
