// The API, the worker and the page server as their users run them: built, each a process of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

const repository = path.resolve(import.meta.dirname, '../../..')
const READY_TIMEOUT_MS = 45_000

export interface AppProcess {
  /** The API's or the pages' address, or that of the worker's metrics. */
  url: string
  pid: number
  /** What it has written so far. */
  output: () => string
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Sends a signal, SIGTERM by default, and waits for the end. */
  stop: (signal?: NodeJS.Signals) => Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** Starts `apps/<name>/dist/main.js` with just these variables and the PATH, on ports of its own; resolves when it serves. */
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
