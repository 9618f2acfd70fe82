// The account that the server runs as: PostgreSQL refuses root, so root starts it as an unprivileged account.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { EmbeddedPostgresError } from './errors.ts'

export interface Account {
  uid: number
  gid: number
  name: string
}

export const isRoot = (): boolean => process.getuid?.() === 0

/** For root: `postgres`, else `nobody`. For other users undefined: the server runs as the same user. */
export function serverAccount(): Account | undefined {
  if (!isRoot()) return undefined
  const account = accountNamed('postgres') ?? accountNamed('nobody')
  if (account) return account
  throw new EmbeddedPostgresError(
    'no_account',
    'PostgreSQL refuses to run as root, and there is neither an account "postgres" nor "nobody" to run it as. Start Sluice as an ordinary user, or set DATABASE_URL.',
  )
}

/** The first folder on the path to `folder` (itself included) that `account` can't enter, or undefined. */
export function firstClosedFolder(account: Account, folder: string): string | undefined {
  return pathsTo(folder).find((step) => !canEnter(account, step))
}

function canEnter({ uid, gid }: Account, folder: string): boolean {
  const { status } = spawnSync('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], {
    uid,
    gid,
    cwd: '/',
    stdio: 'ignore',
  })
  return status === 0
}

function pathsTo(folder: string): string[] {
  const parent = path.dirname(folder)
  return parent === folder ? [folder] : [...pathsTo(parent), folder]
}

function accountNamed(name: string): Account | undefined {
  const id = (flag: string) => Number.parseInt(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout, 10)
  const [uid, gid] = [id('-u'), id('-g')]
  return uid > 0 && gid >= 0 ? { uid, gid, name } : undefined
}
