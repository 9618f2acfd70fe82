// Runs other programs for the tools: keeps their output for error messages, shows progress, forwards a stop.
import { spawn } from 'node:child_process'
import path from 'node:path'

export const root = path.resolve(import.meta.dirname, '..')
export const bin = (name) => path.join(root, 'node_modules', '.bin', name)

/** An error for the user, printed without a stack. */
export class ToolError extends Error {}

/** A signal stopped the tool. */
export class Stopped extends ToolError {
  constructor() {
    super('Stopped.')
  }
}

const HEARTBEAT_MS = 5000
/** A stopped npm cleans up slowly; the next set-up repairs what it leaves. */
const STOP_MS_MAX = 2000

/**
 * Runs a program to its end, quietly, and throws with its output if it fails.
 * @param {string} what the activity, as in "Installing packages"
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, stop?: AbortSignal, say?: Progress, onSpawn?: (pid: number | undefined) => void }} options
 */
export async function runQuietly(what, command, args, { env, stop, say, onSpawn } = {}) {
  if (stop?.aborted) throw new Stopped()
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a group of its own, so that a stop reaches its child processes too
  })
  onSpawn?.(child.pid)
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  let killTimer
  const onStop = () => {
    signalGroup(child, 'SIGTERM')
    killTimer = setTimeout(() => signalGroup(child, 'SIGKILL'), STOP_MS_MAX)
  }
  stop?.addEventListener('abort', onStop)
  const endStep = say?.begin(what)
  const end = await endOf(child)
  clearTimeout(killTimer)
  stop?.removeEventListener('abort', onStop)
  endStep?.(end.ok)
  if (stop?.aborted) throw new Stopped()
  if (!end.ok)
    throw new ToolError(`${output.trim()}\n\n${what} failed: ${path.basename(command)} ${end.why}.`)
}

/** Runs a program in the foreground and returns its exit code. Forwards a stop to it. */
export async function runVisibly(command, args, { env, stop } = {}) {
  const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: 'inherit' })
  const onStop = () => child.kill('SIGTERM')
  if (stop?.aborted) onStop()
  stop?.addEventListener('abort', onStop)
  const end = await endOf(child)
  stop?.removeEventListener('abort', onStop)
  if (end.error) throw new ToolError(`${path.basename(command)} ${end.why}.`)
  return end.code ?? 1
}

/**
 * An AbortSignal for SIGINT, SIGTERM and SIGHUP.
 * `release` restores the default meaning of the signals.
 */
export function stopOnSignals() {
  const controller = new AbortController()
  const onSignal = () => controller.abort()
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, onSignal)
  // A closed terminal must not prevent an orderly stop.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const release = () => {
    for (const signal of signals) process.off(signal, onSignal)
  }
  return { stop: controller.signal, release }
}

/**
 * Lines that show progress: on a terminal one line that counts seconds, elsewhere a new line every few seconds.
 * @typedef {{ line: (text: string) => void, begin: (what: string) => (ok: boolean) => void }} Progress
 * @returns {Progress}
 */
export function progress() {
  const tty = process.stdout.isTTY
  const line = (text) => console.log(text)
  const begin = (what) => {
    const started = Date.now()
    const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`
    const rewrite = (text) => process.stdout.write(`\r\x1b[K${text}`)
    if (tty) rewrite(`${what} …`)
    else line(`${what} …`)
    const timer = tty
      ? setInterval(() => rewrite(`${what} … ${seconds()}`), 1000)
      : setInterval(() => line(`${what} … ${seconds()}`), HEARTBEAT_MS)
    return (ok) => {
      clearInterval(timer)
      if (tty) rewrite('')
      if (ok) line(`${what}: done in ${seconds()}`)
    }
  }
  return { line, begin }
}

/** Runs a tool's main function. A ToolError is printed without a stack, other errors with their stack. */
export async function main(run) {
  try {
    process.exitCode = await run()
  } catch (error) {
    if (error instanceof Stopped) process.exitCode = 130
    else {
      console.error(error instanceof ToolError ? error.message : error)
      process.exitCode = 1
    }
  }
}

function signalGroup(child, signal) {
  try {
    if (child.pid) process.kill(-child.pid, signal)
  } catch {
    // The whole group is gone.
  }
}

function endOf(child) {
  return new Promise((resolve) => {
    child.once('error', (error) =>
      resolve({ ok: false, error, why: `could not be started: ${error.message}` }),
    )
    child.once('close', (code, signal) =>
      resolve({
        ok: code === 0,
        code,
        why: signal ? `was ended by ${signal}` : `ended with exit code ${code}`,
      }),
    )
  })
}
