// The postmaster process: start it, wait until it is ready, stop it, and take over one that was left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { runAs, serverEnv } from './cluster.ts'
import type { DataDir } from './data-dir.ts'
import { EmbeddedPostgresError, errorCode } from './errors.ts'
import { commandLine, isAlive, waitUntil } from './processes.ts'

export interface ServerExit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface Postmaster {
  pid: number
  exited: Promise<ServerExit>
  hasExited(): boolean
  kill(signal: NodeJS.Signals): void
}

const LOG_BYTES_MAX = 10 * 1024 * 1024
const FAST_SHUTDOWN_MS = 20_000
const IMMEDIATE_SHUTDOWN_MS = 5_000

export function spawnPostmaster(
  program: string,
  dir: DataDir,
  settings: Record<string, string | number>,
): Postmaster {
  const log = openLog(dir.log)
  const args = [
    '-D',
    dir.cluster,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  const child = spawn(program, args, {
    ...runAs(dir.account),
    cwd: dir.root,
    env: serverEnv(),
    stdio: ['ignore', log, log],
    detached: true, // a process group of its own: Ctrl-C in the terminal must not stop it before its clients
  })
  closeSync(log)
  return {
    pid: child.pid ?? 0,
    exited: exitOf(child),
    hasExited: () => ended(child),
    kill: (signal) => void child.kill(signal),
  }
}

/** Resolves to false if it exits before it is ready. Crash recovery may take minutes, so only `signal` ends the wait. */
export async function becomesReady(server: Postmaster, dir: DataDir, signal?: AbortSignal): Promise<boolean> {
  while (!server.hasExited() && server.pid > 0) {
    const entry = readPidFile(dir.cluster)
    if (entry?.pid === server.pid && entry.ready) return true
    if (signal?.aborted) return false
    await Promise.race([server.exited, new Promise((resolve) => setTimeout(resolve, 15))])
  }
  return false
}

/** Fast shutdown: sessions end, committed data stays. If it hangs, immediate shutdown, with recovery at the next start. */
export async function stopPostmaster(server: Postmaster): Promise<void> {
  if (server.hasExited()) return
  server.kill('SIGINT')
  if (await waitUntil(server.hasExited, FAST_SHUTDOWN_MS)) return
  server.kill('SIGQUIT')
  if (await waitUntil(server.hasExited, IMMEDIATE_SHUTDOWN_MS)) return
  server.kill('SIGKILL')
  await server.exited
}

/** Stops a server that a dead owner left behind; if only its pid file is left, makes that harmless. */
export async function takeOverLeftover(dir: DataDir, log: (line: string) => void): Promise<void> {
  const entry = readPidFile(dir.cluster)
  if (!entry) return
  if (isServerOn(entry.pid, dir.cluster)) {
    log(`Taking over from a PostgreSQL server that was left behind (process ${entry.pid}).`)
    await endLeftover(entry.pid, dir)
  }
  disownPidFile(dir)
}

async function endLeftover(pid: number, dir: DataDir): Promise<void> {
  const gone = () => !isServerOn(pid, dir.cluster)
  for (const [signal, ms] of [
    ['SIGINT', FAST_SHUTDOWN_MS],
    ['SIGQUIT', IMMEDIATE_SHUTDOWN_MS],
    ['SIGKILL', 2_000],
  ] as const) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if (errorCode(error) === 'ESRCH') return
      throw new EmbeddedPostgresError(
        'start_failed',
        `A PostgreSQL server that was left behind (process ${pid}) uses ${dir.root} and belongs to another user: stop it first.`,
      )
    }
    if (await waitUntil(gone, ms)) return
  }
  throw new EmbeddedPostgresError(
    'start_failed',
    `A PostgreSQL server that was left behind (process ${pid}) uses ${dir.root} and doesn't stop.`,
  )
}

/**
 * PostgreSQL refuses to start if any process, even a zombie, has the pid in a stale postmaster.pid. It ignores the pid of
 * its own parent, so this writes that pid. Deleting the file would lose the shared memory key in it, by which PostgreSQL
 * waits for the last sessions of a crashed predecessor.
 */
function disownPidFile(dir: DataDir): void {
  const file = pidFileOf(dir.cluster)
  if (!existsSync(file)) return
  const [, ...rest] = readFileSync(file, 'utf8').split('\n')
  writeFileSync(file, [process.pid, ...rest].join('\n'))
}

function isServerOn(pid: number, cluster: string): boolean {
  const command = commandLine(pid)
  return isAlive(pid) && command.includes('postgres') && command.includes(cluster)
}

function readPidFile(cluster: string): { pid: number; ready: boolean } | undefined {
  let lines: string[]
  try {
    lines = readFileSync(pidFileOf(cluster), 'utf8').split('\n')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  const pid = Number.parseInt(lines[0] ?? '', 10)
  return pid > 0 ? { pid, ready: lines[7]?.trim() === 'ready' } : undefined
}

const pidFileOf = (cluster: string) => path.join(cluster, 'postmaster.pid')

function openLog(file: string): number {
  if (existsSync(file) && statSync(file).size > LOG_BYTES_MAX) renameSync(file, `${file}.1`)
  try {
    // Never through a link: root writes beside files of another account.
    return openSync(
      file,
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW,
      0o600,
    )
  } catch (error) {
    if (errorCode(error) !== 'ELOOP') throw error
    rmSync(file)
    return openLog(file)
  }
}

const ended = (child: ChildProcess) =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null

function exitOf(child: ChildProcess): Promise<ServerExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', () => resolve({ code: null, signal: null }))
  })
}
