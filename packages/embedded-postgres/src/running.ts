// The server that another process of this clone runs, for tools that only need its database.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { readClusterPassword } from './cluster.ts'
import { isAlive } from './processes.ts'

/** Lines of postmaster.pid, from 0 (PostgreSQL's src/include/utils/pidfile.h). */
const PID_LINE = 0
const PORT_LINE = 3
const STATUS_LINE = 7

/** The URL of the database on the server that runs on this data folder; undefined without one that this user can use. */
export function urlOfRunningServer(dataDir: string, database = 'sluice'): string | undefined {
  const root = path.resolve(dataDir)
  const cluster = path.join(root, 'postgres')
  try {
    const lines = readFileSync(path.join(cluster, 'postmaster.pid'), 'utf8').split('\n')
    const port = Number(lines[PORT_LINE])
    if (lines[STATUS_LINE]?.trim() !== 'ready' || !isAlive(Number(lines[PID_LINE]))) return undefined
    const password = readClusterPassword({ root, cluster })
    return `postgresql://postgres:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`
  } catch {
    return undefined
  }
}
