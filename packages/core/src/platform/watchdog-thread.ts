// The watchdog's thread: counts the checks at which the main thread's beat had not moved, and ends the process at ten.
import fs from 'node:fs'
import { workerData } from 'node:worker_threads'
import type { WatchdogData } from './watchdog.ts'

const WRITE_TIMEOUT_MS = 500
const STDERR = 2

const { beats, debugged, limitMs, checkMs, script } = workerData as WatchdogData
let lastBeat = Atomics.load(beats, 0)
let checkedAt = performance.now()
let stillChecks = 0

const timer = setInterval(check, checkMs)

/**
 * Time is counted in checks of this thread, not by a clock: after SIGSTOP or a laptop's sleep both threads go on
 * together. A late check shows that this thread was stopped too, so the count starts anew.
 */
function check(): void {
  const now = performance.now()
  const late = now - checkedAt > 2 * checkMs
  const beat = Atomics.load(beats, 0)
  const moved = beat !== lastBeat
  checkedAt = now
  lastBeat = beat
  stillChecks = moved || late || Atomics.load(debugged, 0) === 1 ? 0 : stillChecks + 1
  if (stillChecks * checkMs >= limitMs) endProcess()
}

/** SIGKILL, since no handler of the main thread runs any more. A blocked stderr delays it by half a second at most. */
function endProcess(): void {
  clearInterval(timer)
  const kill = () => process.kill(process.pid, 'SIGKILL')
  const line = {
    level: 'fatal',
    time: new Date().toISOString(),
    pid: process.pid,
    script,
    msg: `the event loop stood still for ${limitMs / 1000} s; the process ends, so that its supervisor starts it again`,
  }
  fs.write(STDERR, `${JSON.stringify(line)}\n`, kill)
  setTimeout(kill, WRITE_TIMEOUT_MS)
}
