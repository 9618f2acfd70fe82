// Group commit: requests that arrive while a commit is under way share the next one. No timers on the way in, bounded in rows, bytes and time.
// The idea is the databases' own (DeWitt et al., "Implementation Techniques for Main Memory Database Systems", 1984, section 5.2), one level up.
import { isDataError, isTransientConflict, unavailable } from './errors.ts'

export interface GroupCommitOptions<Row, Result> {
  /**
   * Makes a group durable, in one statement where it can; answers one result for each row, in the rows' order,
   * or the promise of one, for what is still to be done outside of the commit.
   * `load` is how many rows are under way at that moment, these, other groups' and waiting ones: the measure of a burst.
   */
  commit: (rows: readonly Row[], load: number) => Promise<ReadonlyArray<Result | Promise<Result>>>
  sizeBytes: (row: Row) => number
  /**
   * What a row's commit locks: rows with the same key never are in two commits at once, and keep their order. Commits
   * that would only wait for each other in the database hold a connection and the group's other rows for nothing.
   */
  keyOf?: (row: Row) => string
  rowsPerCommitMax: number
  bytesPerCommitMax: number
  waitingRowsMax: number
  waitingBytesMax: number
  /** Commits in flight at once. Two: one is written to disk while the other is being made. */
  concurrentCommitsMax: number
  /** A row that is not committed by then is rejected as unavailable, whatever becomes of its commit. */
  deadlineMs: number
}

export interface GroupCommit<Row, Result> {
  /** Resolves once the row's group is durable. Rejects with SERVICE_UNAVAILABLE, or with the row's own error. */
  submit: (row: Row) => Promise<Result>
  /** How many rows are in flight or waiting. */
  load: () => number
  /** Waits until nothing is left in flight or waiting. */
  drain: () => Promise<void>
}

interface Entry<Row, Result> {
  row: Row
  bytes: number
  deadline: number
  settled: boolean
  resolve: (result: Result | Promise<Result>) => void
  reject: (error: unknown) => void
}

const SWEEP_INTERVAL_MS = 50
const DEADLOCK_RETRIES_MAX = 5

export function createGroupCommit<Row, Result>(
  options: GroupCommitOptions<Row, Result>,
): GroupCommit<Row, Result> {
  type Item = Entry<Row, Result>
  let waiting: Item[] = []
  let waitingBytes = 0
  const inFlight = new Set<readonly Item[]>()
  const keysInFlight = new Set<string>()
  let rowsInFlight = 0
  let flushIsScheduled = false
  let sweeper: NodeJS.Timeout | undefined
  let drained: Array<() => void> = []

  function submit(row: Row): Promise<Result> {
    const bytes = options.sizeBytes(row)
    if (waiting.length >= options.waitingRowsMax || waitingBytes + bytes > options.waitingBytesMax) {
      return Promise.reject(unavailable(new Error('too many rows wait for a commit')))
    }
    return new Promise<Result>((resolve, reject) => {
      const deadline = performance.now() + options.deadlineMs
      waiting.push({ row, bytes, deadline, settled: false, resolve, reject })
      waitingBytes += bytes
      sweeper ??= setInterval(sweep, SWEEP_INTERVAL_MS)
      if (inFlight.size < options.concurrentCommitsMax) scheduleFlush()
    })
  }

  /** After the event loop's current round, so that requests which arrived together commit together. */
  function scheduleFlush(): void {
    if (flushIsScheduled) return
    flushIsScheduled = true
    setImmediate(() => {
      flushIsScheduled = false
      while (waiting.length > 0 && inFlight.size < options.concurrentCommitsMax) {
        const group = takeGroup()
        if (group.length === 0) break // what waits, waits for keys in flight
        void flush(group)
      }
    })
  }

  function takeGroup(): Item[] {
    const group: Item[] = []
    const left: Item[] = []
    let bytes = 0
    let isFull = false
    for (const entry of waiting) {
      isFull ||=
        group.length === options.rowsPerCommitMax ||
        (group.length > 0 && bytes + entry.bytes > options.bytesPerCommitMax)
      if (isFull || isHeldUp(entry)) left.push(entry)
      else {
        group.push(entry)
        bytes += entry.bytes
      }
    }
    waiting = left
    waitingBytes -= bytes
    return group
  }

  const isHeldUp = ({ row }: Item) => options.keyOf !== undefined && keysInFlight.has(options.keyOf(row))

  const load = () => rowsInFlight + waiting.length

  async function flush(group: Item[]): Promise<void> {
    inFlight.add(group)
    rowsInFlight += group.length
    const keys = options.keyOf === undefined ? [] : group.map(({ row }) => options.keyOf!(row))
    for (const key of keys) keysInFlight.add(key)
    try {
      await commitGroup(group)
    } finally {
      inFlight.delete(group)
      rowsInFlight -= group.length
      for (const key of keys) keysInFlight.delete(key)
      if (waiting.length > 0) scheduleFlush()
      else if (inFlight.size === 0) becomeIdle()
    }
  }

  async function commitGroup(group: readonly Item[]): Promise<void> {
    try {
      const rows = group.map((entry) => entry.row)
      const results = await withRetries(
        () => options.commit(rows, load()),
        () => group.some((entry) => !entry.settled),
      )
      group.forEach((entry, i) => {
        const result = results[i] as Result | Promise<Result>
        // Its row may have been rejected at its deadline: then nobody is left to hear of a failure.
        if (result instanceof Promise) result.catch(() => {})
        settle(entry, () => entry.resolve(result))
      })
    } catch (error) {
      if (group.length > 1 && isDataError(error)) {
        // One bad row must not fail its neighbours: by halves, until it is alone and only it is told.
        const middle = Math.ceil(group.length / 2)
        await commitGroup(group.slice(0, middle))
        await commitGroup(group.slice(middle))
        return
      }
      for (const entry of group) settle(entry, () => entry.reject(error))
    }
  }

  function settle(entry: Item, how: () => void): void {
    if (entry.settled) return
    entry.settled = true
    how()
  }

  /** Rejects what is past its deadline, waiting or in flight: against a frozen server only a clock on this side helps. */
  function sweep(): void {
    const now = performance.now()
    const late = unavailable(new Error(`not committed within ${options.deadlineMs} ms`))
    const expired = waiting.findIndex((entry) => entry.deadline > now)
    const dropped = waiting.splice(0, expired === -1 ? waiting.length : expired)
    for (const entry of dropped) {
      waitingBytes -= entry.bytes
      settle(entry, () => entry.reject(late))
    }
    for (const group of inFlight) {
      for (const entry of group) if (entry.deadline <= now) settle(entry, () => entry.reject(late))
    }
    if (waiting.length === 0 && inFlight.size === 0) becomeIdle()
  }

  function becomeIdle(): void {
    clearInterval(sweeper)
    sweeper = undefined
    const waiters = drained
    drained = []
    for (const resolve of waiters) resolve()
  }

  return {
    submit,
    load,
    drain: () =>
      waiting.length === 0 && inFlight.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => drained.push(resolve)),
  }
}

async function withRetries<T>(run: () => Promise<T>, isWanted: () => boolean): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (!isTransientConflict(error) || attempt > DEADLOCK_RETRIES_MAX || !isWanted()) throw error
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempt))
    }
  }
}
