// For tests: starts Sluice as a user does, in a process group of its own, and lists its processes.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '../../..')

const anyPorts = { PORT: '0', DASHBOARD_PORT: '0', WORKER_METRICS_PORT: '0' }

export interface Running {
  pid: number
  command: string
}

export class Launched {
  readonly child: ChildProcess
  readonly exited: Promise<number | NodeJS.Signals | null>
  output = ''

  constructor(env: NodeJS.ProcessEnv, command: string[] = [process.execPath, 'tools/start.mjs']) {
    this.child = spawn(command[0]!, command.slice(1), {
      cwd: root,
      env: { ...environment(), ...anyPorts, LOG_LEVEL: 'warn', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on('data', (chunk) => {
        this.output += chunk
      })
    }
    this.exited = new Promise((resolve) =>
      this.child.once('close', (code, signal) => resolve(code ?? signal)),
    )
  }

  get pid(): number {
    return this.child.pid!
  }

  /** Resolves to the API's address once everything runs. */
  async running(): Promise<string> {
    const line = /^ {2}API +(\S+)$/m
    await Promise.race([
      until(() => line.test(this.output)),
      this.exited.then((how) => Promise.reject(new Error(`Sluice ended with ${how}:\n${this.output}`))),
    ])
    return line.exec(this.output)![1]!
  }

  /** The page of payments, as the banner prints it. */
  get dashboard(): string {
    return /^ {2}Dashboard +(\S+)$/m.exec(this.output)![1]!
  }

  /** Signals every process of the group, as a terminal does with Ctrl-C. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal)
  }

  /** All child processes and their descendants, since npm may be in between. */
  descendants(): Running[] {
    const all = processTable()
    const below = (pid: number): typeof all =>
      all.filter((entry) => entry.parent === pid).flatMap((entry) => [entry, ...below(entry.pid)])
    return below(this.pid)
  }

  descendant(name: string): Running {
    const found = this.descendants().find(({ command }) => command.includes(name))
    if (!found) throw new Error(`No ${name} among ${JSON.stringify(this.descendants())}`)
    return found
  }
}

/**
 * Waits until a condition holds. The default is a limit of the test, not a promise: it allows a start beside other tests.
 * `launcher.deadline.e2e.test.ts` asserts the promised times.
 */
export async function until(done: () => unknown, timeoutMs = 90_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${done}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The environment of this process without the variables that change what `npm start` starts. */
function environment(): NodeJS.ProcessEnv {
  const { DATABASE_URL, REDIS_URL, NODE_ENV, VITEST, ...env } = process.env
  return env
}

function processTable(): (Running & { parent: number })[] {
  if (process.platform !== 'linux') {
    const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,command='], { encoding: 'utf8' })
    return [...stdout.matchAll(/^ *(\d+) +(\d+) +(.*)$/gm)].map(([, pid, parent, command]) => ({
      pid: Number(pid),
      parent: Number(parent),
      command: command!,
    }))
  }
  return readdirSync('/proc').flatMap((name) => {
    try {
      const stat = readFileSync(`/proc/${Number(name)}/stat`, 'utf8')
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      return {
        pid: Number(name),
        parent,
        command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' '),
      }
    } catch {
      return [] // not a process, or ended meanwhile
    }
  })
}
