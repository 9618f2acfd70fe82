// Group commit: requests that arrive while a commit is under way share the next one; bounded in rows, bytes and time.
//
// The technique is that of DeWitt et al. 1984 (Main Memory Database Systems, section 5.2), one level up.
//   1. submit: a row waits, unless too much waits already.
//   2. schedule: the flush comes after the event loop's current round, so that simultaneous rows commit together.
//   3. take: the next group holds what fits its limits, without rows whose key is in flight.
//   4. commit: at most `concurrentCommitsMax` groups at once. A deadlock is retried; a data error halves the group.
//   5. sweep: rows past their deadline are rejected, waiting or in flight.
import { isDataError, isTransientConflict, unavailable } from './errors.ts'

export interface GroupCommitOptions<Row, Result> {
  /**
   * Makes a group durable, in one statement where it can. Returns one result for each row, in the rows' order, or the
   * promise of one, for work that remains after the commit.
   * `load` is the number of rows under way (in any group, or waiting) at that time: the measure of a burst.
   */
  commit: (rows: readonly Row[], load: number) => Promise<ReadonlyArray<Result | Promise<Result>>>
  sizeBytes: (row: Row) => number
  /**
   * What a row's commit locks: rows with the same key are never in two commits at once, and keep their order. Commits
   * that wait for each other in the database would hold a connection, and the group's other rows, for nothing.
   */
  keyOf?: (row: Row) => string
  rowsPerCommitMax: number
  bytesPerCommitMax: number
  waitingRowsMax: number
  waitingBytesMax: number
  /** Commits in flight at once. With two, one is written to disk while the other is prepared. */
  concurrentCommitsMax: number
  /** A row that is not committed by then is rejected as unavailable; its commit may still succeed. */
  deadlineMs: number
}

export interface GroupCommit<Row, Result> {
  /** Resolves once the row's group is durable. Rejects with SERVICE_UNAVAILABLE, or with the row's own error. */
  submit: (row: Row) => Promise<Result>
  /** How many rows are in flight or waiting. */
  load: () => number
  /** Waits until no row is in flight or waiting. */
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

interface State<Row, Result> {
  options: GroupCommitOptions<Row, Result>
  waiting: Array<Entry<Row, Result>>
  waitingBytes: number
  inFlight: Set<ReadonlyArray<Entry<Row, Result>>>
  keysInFlight: Set<string>
  rowsInFlight: number
  flushIsScheduled: boolean
  sweeper: NodeJS.Timeout | undefined
  /** Callers of `drain` that wait. */
  drained: Array<() => void>
}

const SWEEP_INTERVAL_MS = 50
const DEADLOCK_RETRIES_MAX = 5

export function createGroupCommit<Row, Result>(
  options: GroupCommitOptions<Row, Result>,
): GroupCommit<Row, Result> {
  const state: State<Row, Result> = {
    options,
    waiting: [],
    waitingBytes: 0,
    inFlight: new Set(),
    keysInFlight: new Set(),
    rowsInFlight: 0,
    flushIsScheduled: false,
    sweeper: undefined,
    drained: [],
  }
  return {
    submit: (row) => submit(state, row),
    load: () => loadOf(state),
    drain: () => (isIdle(state) ? Promise.resolve() : new Promise((resolve) => state.drained.push(resolve))),
  }
}

const loadOf = <R, S>(state: State<R, S>) => state.rowsInFlight + state.waiting.length
const isIdle = <R, S>({ waiting, inFlight }: State<R, S>) => waiting.length === 0 && inFlight.size === 0

function submit<Row, Result>(state: State<Row, Result>, row: Row): Promise<Result> {
  const { options, waiting } = state
  const bytes = options.sizeBytes(row)
  if (waiting.length >= options.waitingRowsMax || state.waitingBytes + bytes > options.waitingBytesMax) {
    return Promise.reject(unavailable(new Error('too many rows wait for a commit')))
  }
  return new Promise<Result>((resolve, reject) => {
    const deadline = performance.now() + options.deadlineMs
    state.waiting.push({ row, bytes, deadline, settled: false, resolve, reject })
    state.waitingBytes += bytes
    state.sweeper ??= setInterval(() => sweep(state), SWEEP_INTERVAL_MS)
    if (state.inFlight.size < options.concurrentCommitsMax) scheduleFlush(state)
  })
}

function scheduleFlush<Row, Result>(state: State<Row, Result>): void {
  if (state.flushIsScheduled) return
  state.flushIsScheduled = true
  setImmediate(() => {
    state.flushIsScheduled = false
    while (state.waiting.length > 0 && state.inFlight.size < state.options.concurrentCommitsMax) {
      const group = takeGroup(state)
      if (group.length === 0) break // all waiting rows have a key in flight
      void flush(state, group)
    }
  })
}

function takeGroup<Row, Result>(state: State<Row, Result>): Array<Entry<Row, Result>> {
  const { rowsPerCommitMax, bytesPerCommitMax, keyOf } = state.options
  const group: Array<Entry<Row, Result>> = []
  const left: Array<Entry<Row, Result>> = []
  let bytes = 0
  let isFull = false
  for (const entry of state.waiting) {
    isFull ||=
      group.length === rowsPerCommitMax || (group.length > 0 && bytes + entry.bytes > bytesPerCommitMax)
    if (isFull || (keyOf !== undefined && state.keysInFlight.has(keyOf(entry.row)))) left.push(entry)
    else {
      group.push(entry)
      bytes += entry.bytes
    }
  }
  state.waiting = left
  state.waitingBytes -= bytes
  return group
}

async function flush<Row, Result>(
  state: State<Row, Result>,
  group: ReadonlyArray<Entry<Row, Result>>,
): Promise<void> {
  const { keyOf } = state.options
  const keys = keyOf === undefined ? [] : group.map(({ row }) => keyOf(row))
  state.inFlight.add(group)
  state.rowsInFlight += group.length
  for (const key of keys) state.keysInFlight.add(key)
  try {
    await commitGroup(state, group)
  } finally {
    state.inFlight.delete(group)
    state.rowsInFlight -= group.length
    for (const key of keys) state.keysInFlight.delete(key)
    if (state.waiting.length > 0) scheduleFlush(state)
    else if (state.inFlight.size === 0) becomeIdle(state)
  }
}

async function commitGroup<Row, Result>(
  state: State<Row, Result>,
  group: ReadonlyArray<Entry<Row, Result>>,
): Promise<void> {
  try {
    const rows = group.map((entry) => entry.row)
    const results = await withRetries(
      () => state.options.commit(rows, loadOf(state)),
      () => group.some((entry) => !entry.settled),
    )
    group.forEach((entry, i) => {
      const result = results[i] as Result | Promise<Result>
      // A row rejected at its deadline has no caller left that would handle a late failure.
      if (result instanceof Promise) result.catch(() => {})
      settle(entry, () => entry.resolve(result))
    })
  } catch (error) {
    if (group.length > 1 && isDataError(error)) {
      // One bad row must not fail its neighbours: the group is halved until the row is alone with its error.
      const middle = Math.ceil(group.length / 2)
      await commitGroup(state, group.slice(0, middle))
      await commitGroup(state, group.slice(middle))
      return
    }
    for (const entry of group) settle(entry, () => entry.reject(error))
  }
}

function settle<Row, Result>(entry: Entry<Row, Result>, how: () => void): void {
  if (entry.settled) return
  entry.settled = true
  how()
}

/** Rejects rows past their deadline: a frozen server sends no error, so only a timer of our own helps. */
function sweep<Row, Result>(state: State<Row, Result>): void {
  const now = performance.now()
  const late = unavailable(new Error(`not committed within ${state.options.deadlineMs} ms`))
  const firstInTime = state.waiting.findIndex((entry) => entry.deadline > now)
  const dropped = state.waiting.splice(0, firstInTime === -1 ? state.waiting.length : firstInTime)
  for (const entry of dropped) {
    state.waitingBytes -= entry.bytes
    settle(entry, () => entry.reject(late))
  }
  for (const group of state.inFlight) {
    for (const entry of group) if (entry.deadline <= now) settle(entry, () => entry.reject(late))
  }
  if (isIdle(state)) becomeIdle(state)
}

function becomeIdle<Row, Result>(state: State<Row, Result>): void {
  clearInterval(state.sweeper)
  state.sweeper = undefined
  const waiters = state.drained
  state.drained = []
  for (const resolve of waiters) resolve()
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
