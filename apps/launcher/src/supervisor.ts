// Keeps one app running as a child process: starts it, waits until it is ready, restarts it when it dies, stops it.
import { type ChildProcess, spawn } from 'node:child_process'
import { nextDelayMs } from './backoff.ts'
import { LaunchError } from './errors.ts'
import { type Print, seconds } from './output.ts'
import { pause } from './stop-request.ts'

export interface AppCommand {
  name: string
  /** A path below the clone's root, as the process list shows it. */
  script: string
  args?: readonly string[]
  env: NodeJS.ProcessEnv
}

export interface SupervisedApp {
  /** Resolves when the app is ready for the first time. Rejects with a LaunchError if it never is. */
  ready: Promise<void>
  /** Ends the running process gracefully and starts a new one. */
  restart(): void
  /** Stops the process with SIGTERM, or with SIGKILL after a limit or when `force` aborts. Resolves at its exit. */
  stop(force: AbortSignal): Promise<void>
}

const FIRST_STARTS_MAX = 3
const READY_MS_MAX = 60_000
/** Apps take at most 10 s for a graceful shutdown. */
const STOP_MS_MAX = 12_000

interface Supervision {
  app: AppCommand
  cwd: string
  print: Print
  stopping: AbortController
  child: ChildProcess | undefined
  wasReady: boolean
  restarting: boolean
  onReady: () => void
  onFailure: (error: LaunchError) => void
}

export function supervise(app: AppCommand, cwd: string, print: Print): SupervisedApp {
  const stopping = new AbortController()
  const state: Supervision = {
    app,
    cwd,
    print,
    stopping,
    child: undefined,
    wasReady: false,
    restarting: false,
    onReady: () => {},
    onFailure: () => {},
  }
  const ready = new Promise<void>((resolve, reject) => {
    state.onReady = resolve
    state.onFailure = reject
  })
  const running = keepRunning(state)
  const readyTimer = setTimeout(
    () => state.onFailure(new LaunchError(`The ${app.name} wasn't ready after ${READY_MS_MAX / 1000} s.`)),
    READY_MS_MAX,
  )
  ready.catch(() => {}).then(() => clearTimeout(readyTimer))

  return {
    ready,
    restart() {
      // False if the process is dead already: it starts again anyway.
      state.restarting = state.child?.kill('SIGTERM') ?? false
    },
    async stop(force) {
      stopping.abort()
      clearTimeout(readyTimer)
      state.child?.kill('SIGTERM')
      const ended = new AbortController()
      running.then(() => ended.abort())
      await pause(STOP_MS_MAX, ended.signal, force)
      state.child?.kill('SIGKILL')
      await running
    },
  }
}

/** Starts the app again after each end, with growing delays, until it is stopped or has failed its first starts. */
async function keepRunning(state: Supervision): Promise<void> {
  const { app, stopping, print } = state
  let delayMs: number | undefined
  for (let starts = 1; !stopping.signal.aborted; starts++) {
    const startedAt = Date.now()
    const end = await runOnce(state)
    if (stopping.signal.aborted) return
    if (state.restarting) {
      state.restarting = false
      continue
    }
    if (!state.wasReady && starts >= FIRST_STARTS_MAX) {
      state.onFailure(
        new LaunchError(
          `The ${app.name} ${end} before it was ready, ${starts} times in a row; its messages are above.`,
        ),
      )
      return
    }
    delayMs = nextDelayMs(delayMs, Date.now() - startedAt)
    print(`The ${app.name} ${end}; starting it again in ${seconds(delayMs)}.`)
    await pause(delayMs, stopping.signal)
  }
}

/** Runs the app's process once. Resolves with a description of its end. */
function runOnce(state: Supervision): Promise<string> {
  const { app, cwd } = state
  const child = spawn(process.execPath, ['--enable-source-maps', app.script, ...(app.args ?? [])], {
    cwd,
    env: app.env,
    // The app reports "ready" through the IPC channel. The end of the channel stops the app when the launcher dies.
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  state.child = child
  child.on('message', (message) => {
    if ((message as { type?: unknown } | null)?.type !== 'ready') return
    state.wasReady = true
    state.onReady()
  })
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not be started (${error.message})`))
    child.once('exit', (code, signal) =>
      resolve(signal ? `was ended by ${signal}` : `ended with exit code ${code}`),
    )
  })
}
