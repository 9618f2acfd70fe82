// Starts Node processes with an IPC channel, waits for their ready message, and stops them.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Janitor } from './janitor.ts'

export const repository = fileURLToPath(new URL('../..', import.meta.url))

const READY_WITHIN_MS = 30_000
const STOP_WITHIN_MS = 15_000
const OUTPUT_CHARACTERS_KEPT = 4000

export type Child = {
  name: string
  pid: number
  process: ChildProcess
  /** Its URL, from its ready message. */
  url: string
  /** Rejects when the process ends before `stop`. Race it with the work that needs the process. */
  died: Promise<never>
  stop(): Promise<void>
}

export type ChildOptions = {
  name: string
  /** Relative to the repository. */
  module: string
  env?: Record<string, string>
  execArgv?: readonly string[]
}

export async function startChild(janitor: Janitor, options: ChildOptions): Promise<Child> {
  const { name, module, env = {}, execArgv = [] } = options
  const child = fork(module, {
    cwd: repository,
    env: { ...inherited(), ...env },
    execArgv: ['--enable-source-maps', ...execArgv],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk).slice(-OUTPUT_CHARACTERS_KEPT)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)

  let stopped = false
  const died = new Promise<never>((_, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (!stopped)
        reject(new Error(`${name} ended by itself (${signal ?? `exit code ${code}`}):\n${output}`))
    })
  })
  died.catch(() => {}) // the callers that race it see the error

  const stop = janitor.defer(async () => {
    stopped = true
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
    await exited
    clearTimeout(force)
  })

  const url = await Promise.race([ready(child), died, tooLate(name)])
  return { name, pid: child.pid!, process: child, url, died, stop }
}

async function ready(child: ChildProcess): Promise<string> {
  for (;;) {
    const [message] = (await once(child, 'message')) as [{ type?: string; url?: string }]
    if (message.type === 'ready') return message.url ?? ''
  }
}

function tooLate(name: string): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(
      () => reject(new Error(`${name} was not ready after ${READY_WITHIN_MS} ms`)),
      READY_WITHIN_MS,
    ).unref()
  })
}

/** These variables only: the caller's DATABASE_URL or TEST_MODE must not reach the measured system. */
const inherited = () => pick(process.env, ['PATH', 'HOME', 'TMPDIR', 'LANG'])

export function pick(from: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])))
}

/** Runs a Node program to its end. A failure throws the program's output. */
export async function runNode(janitor: Janitor, module: string, env: Record<string, string>): Promise<void> {
  const child = fork(module, {
    cwd: repository,
    env: { ...inherited(), ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  janitor.defer(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout?.on('data', (chunk) => (output += chunk))
  child.stderr?.on('data', (chunk) => (output += chunk))
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`node ${module} failed (exit code ${code}):\n${output}`)
}
