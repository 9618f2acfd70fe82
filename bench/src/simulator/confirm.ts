// Checks Sluice's acknowledgements: reads each id until its state is right or wrong, or progress stops.
import { pause } from './processor.ts'

const READERS = 16
const STILL_OPEN_MAX = 64
const PASS_EVERY_MS = 500

/** `open`: read again later. */
export type CheckResult = 'right' | 'open' | { problem: string }

export type Confirmation = {
  right: number
  /** Ids with their faults. */
  problems: { id: string; problem: string }[]
  /** Still open when `waitMs` had passed without any progress. */
  open: number
}

export type ConfirmOptions = {
  /** Gives up after so long without any progress. */
  waitMs: number
  onProgress: (right: number, of: number) => void
  signal: AbortSignal
}

export async function confirmAll(
  ids: readonly string[],
  check: (id: string) => Promise<CheckResult>,
  { waitMs, onProgress, signal }: ConfirmOptions,
): Promise<Confirmation> {
  const problems: Confirmation['problems'] = []
  let waiting = ids
  let right = 0
  let progressAt = Date.now()

  async function isSettled(id: string): Promise<boolean> {
    const verdict = await check(id)
    if (verdict === 'open') return false
    if (verdict === 'right') right++
    else problems.push({ id, ...verdict })
    onProgress(right, ids.length)
    return true
  }

  while (waiting.length > 0 && !signal.aborted && Date.now() - progressAt < waitMs) {
    const before = waiting.length
    waiting = await onePass(waiting, isSettled)
    if (waiting.length < before) progressAt = Date.now()
    if (waiting.length > 0) await pause(PASS_EVERY_MS, signal)
  }
  return { right, problems, open: waiting.length }
}

/** Reads in the order of acknowledgement. It ends the pass when many in a row are open. */
async function onePass(
  ids: readonly string[],
  isSettled: (id: string) => Promise<boolean>,
): Promise<string[]> {
  const remaining: string[] = []
  let next = 0
  let inARow = 0
  const reader = async () => {
    while (next < ids.length && inARow < STILL_OPEN_MAX) {
      const id = ids[next++]!
      if (await isSettled(id)) inARow = 0
      else {
        remaining.push(id)
        inARow++
      }
    }
  }
  await Promise.all(Array.from({ length: READERS }, reader))
  return [...remaining, ...ids.slice(next)]
}

/**
 * A read's response, or undefined when the caller must read again: without a response, or after 503 or 429.
 * @throws after 401, since Sluice refuses all reads then.
 */
export async function conclusive<R extends { status: number }>(pending: Promise<R>): Promise<R | undefined> {
  const response = await pending.catch(() => undefined)
  if (response === undefined || response.status === 503 || response.status === 429) return undefined
  if (response.status === 401)
    throw new Error('Sluice responds 401 to reads. The simulator expects SANDBOX=true there.')
  return response
}
