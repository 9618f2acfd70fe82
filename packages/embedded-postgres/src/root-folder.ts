// Root's folder outside the clone: PostgreSQL runs as another account, which may not be able to enter the clone.
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { isRoot } from './account.ts'
import { EmbeddedPostgresError, errorCode } from './errors.ts'

/** In /var/tmp, because /tmp may be emptied at every boot; named after the clone, so that two clones don't share it. */
export function rootFolderOf(cloneRoot: string): string {
  const name = createHash('sha256').update(realpathSync(cloneRoot)).digest('hex').slice(0, 12)
  return path.join('/var/tmp', `sluice-${name}`)
}

/** The data folder without DATA_DIR. For root this creates, or refuses, the folder around it. */
export function defaultDataDir(cloneRoot: string): string {
  if (!isRoot()) return path.join(cloneRoot, '.data')
  return path.join(ensureRootFolder(rootFolderOf(cloneRoot)), 'data')
}

/** Every user can create folders in /var/tmp, so root uses only a folder that root has created, and no link. */
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
