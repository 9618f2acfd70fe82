// Tells listeners that something changed, by whatever process: one cheap look at PostgreSQL for all of them, and none while nobody listens.
import type { Database } from './database.ts'
import type { Logger } from './logger.ts'

const LOOK_INTERVAL_MS = 400
const TELL_INTERVAL_MS = 1000
/** The sequence moves while its commit is being made: who reads at once may come too early, and is told once more. */
const TELL_AGAIN_FOR_MS = 1500

export interface ChangeWatch {
  /** Calls `listener` after changes, at most once a second; returns the end of it. */
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
  let toldAt = Number.NEGATIVE_INFINITY

  /** One loop at a time: a look that was under way when the last listener left does not go on for the next one. */
  let loop: symbol | undefined

  async function look(mine: symbol): Promise<void> {
    const startedAt = performance.now()
    try {
      const current = await readVersion(db, sequences)
      // The first look has nothing to compare with; whoever listens has just read or is about to.
      if (current !== version) movedAt = performance.now()
      version = current
    } catch (err) {
      log.debug({ err, sequences }, 'cannot look for changes')
    }
    if (mine !== loop) return
    const now = performance.now()
    if (now - movedAt <= TELL_AGAIN_FOR_MS && now - toldAt >= TELL_INTERVAL_MS) {
      toldAt = now
      for (const listener of listeners) listener()
    }
    timer = setTimeout(look, Math.max(50, LOOK_INTERVAL_MS - (now - startedAt)), mine)
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
        timer = setTimeout(look, 0, loop)
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
    // Unused, a sequence has the value 1 already, which its first use leaves.
    text: sequences.map((name) => `SELECT last_value || ' ' || is_called FROM ${name}`).join(' UNION ALL '),
    values: [],
  })
  return rows.join()
}
