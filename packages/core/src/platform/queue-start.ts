// Starts BullMQ's queues and workers: after a failed first connect it pauses and tries again with a new object.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from './logger.ts'
import { RETRY_PAUSE_MS } from './queue-backends.ts'

interface Startable {
  name: string
  waitUntilReady: () => Promise<unknown>
  close: () => Promise<void>
}

/**
 * Opens objects until one is connected; resolves to undefined when `stop` is aborted first. A BullMQ object remembers
 * a rejected first connect for ever, so each attempt has an object of its own.
 */
export async function startFresh<T extends Startable>(
  open: () => T,
  { stop, log, onFailure }: { stop: AbortSignal; log: Logger; onFailure?: () => void },
): Promise<T | undefined> {
  for (let attempt = 1; !stop.aborted; attempt++) {
    const object = open()
    const queue = object.name
    try {
      await object.waitUntilReady()
      if (attempt > 1) log.info({ queue, attempt }, 'connected to the queue')
      return object
    } catch (err) {
      object.close().catch(() => {}) // it may wait for the server
      if (stop.aborted) return undefined
      onFailure?.()
      log[attempt === 1 ? 'warn' : 'debug']({ err, queue, attempt }, 'cannot connect to the queue; retrying')
      await pauseUnless(stop)
    }
  }
  return undefined
}

/** The pause between two attempts, cut short by `stop`. */
export const pauseUnless = (stop: AbortSignal): Promise<void> =>
  sleep(RETRY_PAUSE_MS, undefined, { signal: stop }).catch(() => {})
