// Keeps one app running as a child process: starts it, notices when it is ready, restarts it when it dies, stops it.
import { type ChildProcess, spawn } from 'node:child_process'
import { nextDelayMs } from './backoff.ts'
import { LaunchError } from './errors.ts'
import { type Say, seconds } from './output.ts'
import { pause } from './stop-request.ts'

export interface App {
  name: string
  /** Below the clone's root; seen in the process list. */
  script: string
  args?: readonly string[]
  env: NodeJS.ProcessEnv
}

export interface SupervisedApp {
  /** Resolves when the app is ready for the first time; rejects with a LaunchError when it never gets there. */
  ready: Promise<void>
  /** Ends the running process in order and starts a new one. */
  restart(): void
  /** Stops the process with SIGTERM, or with SIGKILL after a limit or when `force` aborts. Resolves at its exit. */
  stop(force: AbortSignal): Promise<void>
}

const FIRST_STARTS_MAX = 3
const READY_MS_MAX = 60_000
/** Apps take at most 10 s for a graceful shutdown. */
const STOP_MS_MAX = 12_000

export function supervise(app: App, cwd: string, say: Say): SupervisedApp {
  const stopping = new AbortController()
  let becomeReady = () => {}
  let giveUp: (why: LaunchError) => void = () => {}
  const ready = new Promise<void>((resolve, reject) => {
    becomeReady = resolve
    giveUp = reject
  })
  let child: ChildProcess
  let wasReady = false
  let restarting = false

  const spawnChild = () => {
    child = spawn(process.execPath, ['--enable-source-maps', app.script, ...(app.args ?? [])], {
      cwd,
      env: app.env,
      // The app reports over the channel when it is ready, and stops when the channel ends.
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    child.on('message', (message) => {
      if ((message as { type?: unknown } | null)?.type !== 'ready') return
      wasReady = true
      becomeReady()
    })
    return exitOf(child)
  }

  const run = async () => {
    let delayMs: number | undefined
    for (let starts = 1; !stopping.signal.aborted; starts++) {
      const startedAt = Date.now()
      const how = await spawnChild()
      if (stopping.signal.aborted) return
      if (restarting) {
        restarting = false
        continue
      }
      if (!wasReady && starts >= FIRST_STARTS_MAX) {
        giveUp(
          new LaunchError(
            `The ${app.name} ${how} before it was ready, ${starts} times in a row; its messages are above.`,
          ),
        )
        return
      }
      delayMs = nextDelayMs(delayMs, Date.now() - startedAt)
      say(`The ${app.name} ${how}; starting it again in ${seconds(delayMs)}.`)
      await pause(delayMs, stopping.signal)
    }
  }

  const running = run()
  const tooLate = setTimeout(
    () => giveUp(new LaunchError(`The ${app.name} wasn't ready after ${READY_MS_MAX / 1000} s.`)),
    READY_MS_MAX,
  )
  ready.catch(() => {}).then(() => clearTimeout(tooLate))

  return {
    ready,
    restart() {
      restarting = child.kill('SIGTERM') // false when it is already dead and about to be started again
    },
    async stop(force) {
      stopping.abort()
      clearTimeout(tooLate)
      child.kill('SIGTERM')
      const gone = new AbortController()
      running.then(() => gone.abort())
      await pause(STOP_MS_MAX, gone.signal, force)
      child.kill('SIGKILL')
      await running
    },
  }
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not be started (${error.message})`))
    child.once('exit', (code, signal) =>
      resolve(signal ? `was ended by ${signal}` : `ended with exit code ${code}`),
    )
  })
}
