// Notifies listeners of changes by any process: one cheap poll of PostgreSQL for all of them, none without listeners.
import type { Database } from './database.ts'
import type { Logger } from './logger.ts'

const POLL_INTERVAL_MS = 400
const NOTIFY_INTERVAL_MS = 1000
/** The sequence moves before its commit: a listener that reads at once may read too early, and is notified once more. */
const NOTIFY_AGAIN_FOR_MS = 1500

export interface ChangeWatch {
  /** Calls `listener` after changes, at most once a second; returns a function that ends it. */
  listen: (listener: () => void) => () => void
  stop: () => void
}

/** `sequences` move with every commit that changes what is watched. The names are ours, never input. */
export function createChangeWatch(
  { db, log }: { db: Database; log: Logger },
  sequences: readonly string[],
): ChangeWatch {
  const listeners = new Set<() => void>()
  let timer: NodeJS.Timeout | undefined
  let version: string | undefined
  let movedAt = Number.NEGATIVE_INFINITY
  let notifiedAt = Number.NEGATIVE_INFINITY

  /** One loop at a time: a poll under way when the last listener leaves does not continue for the next one. */
  let loop: symbol | undefined

  async function poll(mine: symbol): Promise<void> {
    const startedAt = performance.now()
    try {
      const current = await readVersion(db, sequences)
      // The first poll has nothing to compare with; a new listener has just read, or is about to.
      if (current !== version) movedAt = performance.now()
      version = current
    } catch (err) {
      log.debug({ err, sequences }, 'cannot poll for changes')
    }
    if (mine !== loop) return
    const now = performance.now()
    if (now - movedAt <= NOTIFY_AGAIN_FOR_MS && now - notifiedAt >= NOTIFY_INTERVAL_MS) {
      notifiedAt = now
      for (const listener of listeners) listener()
    }
    timer = setTimeout(poll, Math.max(50, POLL_INTERVAL_MS - (now - startedAt)), mine)
  }

  function stop(): void {
    clearTimeout(timer)
    loop = undefined
  }

  return {
    listen(listener) {
      listeners.add(listener)
      if (loop === undefined) {
        loop = Symbol('loop')
        timer = setTimeout(poll, 0, loop)
      }
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) stop()
      }
    },
    stop,
  }
}

async function readVersion(db: Database, sequences: readonly string[]): Promise<string> {
  const { rows } = await db.batch({
    name: `version-${sequences.join('-')}`,
    // An unused sequence has the value 1 already, and its first use keeps it.
    text: sequences.map((name) => `SELECT last_value || ' ' || is_called FROM ${name}`).join(' UNION ALL '),
    values: [],
  })
  return rows.join()
}
