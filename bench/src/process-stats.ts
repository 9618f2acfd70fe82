// Memory and CPU of another process, from /proc; undefined on systems without it (macOS, Windows).
import { readdirSync, readFileSync } from 'node:fs'

export const processStatsAvailable = process.platform === 'linux'

const CLOCK_TICKS_PER_SECOND = 100 // sysconf(_SC_CLK_TCK): 100 on every Linux that Node runs on

/** Resident memory in MB: now, and its peak since the process began. */
export function memoryMb(pid: number): { current: number; peak: number } | undefined {
  const status = read(`/proc/${pid}/status`)
  if (status === undefined) return undefined
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  return { current: field('VmRSS'), peak: field('VmHWM') }
}

/** User and system CPU so far, in seconds. */
export function cpuSeconds(pid: number): number | undefined {
  return processTimes(String(pid))?.cpuSeconds
}

/** The same with its children: PostgreSQL has one process for each connection. */
export function cpuSecondsWithChildren(pid: number): number | undefined {
  if (!processStatsAvailable) return undefined
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => (name === String(pid) ? { ...processTimes(name), parent: pid } : processTimes(name)))
    .reduce((sum, times) => (times?.parent === pid ? sum + (times.cpuSeconds ?? 0) : sum), 0)
}

function processTimes(pid: string): { parent: number; cpuSeconds: number } | undefined {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name may contain anything
  const ticks = Number(afterName[11]) + Number(afterName[12])
  return { parent: Number(afterName[1]), cpuSeconds: ticks / CLOCK_TICKS_PER_SECOND }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
