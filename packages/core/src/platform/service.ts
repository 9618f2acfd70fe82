// What every long-running process shares: reporting that it is ready, and stopping in order.
import { StartupError } from './errors.ts'
import type { Logger } from './logger.ts'
import { startWatchdog } from './watchdog.ts'

const STOP_TIMEOUT_MS = 10_000

/** Runs a process's main function. An error ends the process with code 1; expected errors are one line. */
export async function runService(portVariable: string, main: () => Promise<void>): Promise<void> {
  startWatchdog()
  try {
    await main()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (error instanceof StartupError) console.error(message)
    else if (code === 'EADDRINUSE') console.error(`${portVariable} is taken: ${message}`)
    else console.error(error)
    process.exit(1)
  }
}

/** Reports to the launcher, if there is one, that this process serves. */
export function reportReady(message: { url?: string } = {}): void {
  process.send?.({ type: 'ready', ...message })
}

/**
 * Calls `stop` once, on SIGTERM, SIGINT, SIGHUP or the loss of the parent's IPC channel. The process ends with code 0
 * after it, or with code 1 after 10 s: the rows are safe, and other processes take over.
 */
export function gracefulShutdown(log: Logger, stop: () => Promise<void>): void {
  let stopping = false
  const begin = (cause: string) => {
    if (stopping) return
    stopping = true
    log.info({ cause }, 'stopping')
    setTimeout(() => {
      log.warn('not everything stopped in time')
      process.exit(1)
    }, STOP_TIMEOUT_MS).unref()
    stop().then(
      () => process.exit(0),
      (err) => {
        log.error({ err }, 'stopping failed')
        process.exit(1)
      },
    )
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => begin(signal))
  process.on('disconnect', () => begin('parent is gone'))
  // A closed terminal must not interrupt the shutdown.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}
