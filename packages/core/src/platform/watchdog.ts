// Ends a process whose event loop stood still, from a thread of its own, so that its supervisor starts it again.
import inspector from 'node:inspector'
import { Worker } from 'node:worker_threads'

export interface WatchdogData {
  /** Counts upwards as long as the event loop runs. */
  beats: Int32Array
  /** 1 while a debugger may be connected. */
  debugged: Int32Array
  limitMs: number
  checkMs: number
  script: string
}

const LIMIT_MS = 30_000
const CHECKS_PER_LIMIT = 10

/** The kernel ignores a SIGKILL that PID 1 of a container sends to itself. */
const NEEDS_INIT =
  'the watchdog cannot end process 1: run the container with an init (docker run --init, or init: true in Compose)'

/** Neither the beat nor the thread keeps the process alive. */
export function startWatchdog({ limitMs = LIMIT_MS }: { limitMs?: number } = {}): void {
  const [beats, debugged] = [sharedInteger(), sharedInteger()]
  const checkMs = limitMs / CHECKS_PER_LIMIT
  const beat = () => {
    Atomics.add(beats, 0, 1)
    // At a breakpoint the event loop stands still on purpose.
    Atomics.store(debugged, 0, inspector.url() === undefined ? 0 : 1)
  }
  if (process.pid === 1) console.warn(NEEDS_INIT)
  beat()
  setInterval(beat, checkMs).unref()
  const script = process.argv[1] ?? ''
  const workerData: WatchdogData = { beats, debugged, limitMs, checkMs, script }
  try {
    const thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), {
      workerData,
      name: 'watchdog',
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 },
    })
    thread.on('error', reportFailure)
    thread.unref()
  } catch (err) {
    reportFailure(err)
  }
}

const reportFailure = (err: unknown) => console.error('the watchdog failed; the process runs without it', err)

const sharedInteger = () => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
