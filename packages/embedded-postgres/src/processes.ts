// Facts about any process: whether it is alive, when it started, and its command line.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** True for a running process. A zombie counts as dead, although signals still reach it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const state = linuxStat(pid)?.[0]
  return state !== 'Z' && state !== 'X'
}

/**
 * Distinguishes a process from a later one with the same pid: the boot and the start time.
 * Undefined if the process is gone or the system does not provide them.
 */
export function startMark(pid: number): string | undefined {
  if (process.platform === 'linux') {
    const startTicks = linuxStat(pid)?.[19]
    return startTicks && `${bootId()}/${startTicks}`
  }
  const started = ps(pid, 'lstart=')
  return started || undefined
}

/** The command line, joined with spaces; empty when the process is gone. */
export function commandLine(pid: number): string {
  if (process.platform !== 'linux') return ps(pid, 'command=')
  return read(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ').trim() ?? ''
}

/** Resolves to true once `done()` holds, to false after `timeoutMs`. */
export async function waitUntil(done: () => boolean, timeoutMs: number, intervalMs = 25): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  while (!done()) {
    if (Date.now() >= deadline) return false
    await new Promise((resolve) => setTimeout(resolve, intervalMs))
  }
  return true
}

/** Fields of /proc/<pid>/stat from the state on; the name before them may hold spaces and brackets. */
function linuxStat(pid: number): string[] | undefined {
  if (process.platform !== 'linux') return undefined
  const text = read(`/proc/${pid}/stat`)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

function bootId(): string {
  return read('/proc/sys/kernel/random/boot_id')?.trim() ?? ''
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function ps(pid: number, column: string): string {
  const { stdout } = spawnSync('ps', ['-p', String(pid), '-o', column], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  })
  return stdout?.trim() ?? ''
}
