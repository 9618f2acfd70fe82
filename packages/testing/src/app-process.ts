// Starts the built API, worker or page server as a process of its own, as operators run them.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

const repository = path.resolve(import.meta.dirname, '../../..')
const READY_TIMEOUT_MS = 45_000

export interface AppProcess {
  /** The URL of the API or the pages, or of the worker's metrics. */
  url: string
  pid: number
  /** The output so far, stdout and stderr. */
  output: () => string
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Sends a signal, SIGTERM by default, and waits for the exit. */
  stop: (signal?: NodeJS.Signals) => Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** Starts `apps/<name>/dist/main.js` with only these variables and the PATH, on free ports; resolves when it serves. */
export async function startApp(
  name: 'api' | 'worker' | 'pages',
  env: Record<string, string | undefined>,
  args: readonly string[] = [],
): Promise<AppProcess> {
  const child = spawn(process.execPath, ['--enable-source-maps', `apps/${name}/dist/main.js`, ...args], {
    cwd: repository,
    env: {
      PATH: process.env.PATH,
      SANDBOX: 'true',
      PORT: '0',
      DASHBOARD_PORT: '0',
      WORKER_METRICS_PORT: '0',
      LOG_LEVEL: 'info',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      output += chunk
    })
  }
  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }))
  const url = await Promise.race([
    ready(child),
    exited.then(({ code, signal }) => {
      throw new Error(`${name} ended before it was ready (${signal ?? code}):\n${output}`)
    }),
  ]).catch((error) => {
    child.kill('SIGKILL')
    throw error
  })
  return {
    url,
    pid: child.pid!,
    output: () => output,
    exited,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      return exited
    },
  }
}

async function ready(child: ChildProcess): Promise<string> {
  const signal = AbortSignal.timeout(READY_TIMEOUT_MS)
  for (;;) {
    const [message] = await once(child, 'message', { signal })
    if (message.type === 'ready') return message.url ?? ''
  }
}
