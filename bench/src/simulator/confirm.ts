// Holds Sluice to its acknowledgements: asks about each id until there is an answer, or nothing has moved for too long.
import { pause } from './processor.ts'

const READERS = 16
const STILL_OPEN_MAX = 64
const PASS_EVERY_MS = 500

/** `open`: ask again later. */
export type Verdict = 'right' | 'open' | { problem: string }

export type Confirmation = {
  right: number
  /** Ids by what is wrong with them. */
  problems: { id: string; problem: string }[]
  /** Still open when `waitMs` had passed without any progress. */
  open: number
}

export type Patience = {
  /** Gives up after so long without any progress. */
  waitMs: number
  onProgress: (right: number, of: number) => void
  signal: AbortSignal
}

export async function confirmAll(
  ids: readonly string[],
  check: (id: string) => Promise<Verdict>,
  { waitMs, onProgress, signal }: Patience,
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

/** Asks in the order of acknowledgement, and gives up for now once many in a row are open. */
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
 * What a read says, or undefined when it says nothing: no answer and 503 are asked again.
 * @throws where all reads are refused.
 */
export async function tellingAnswer<A extends { status: number }>(
  answering: Promise<A>,
): Promise<A | undefined> {
  const answer = await answering.catch(() => undefined)
  if (answer === undefined || answer.status === 503 || answer.status === 429) return undefined
  if (answer.status === 401)
    throw new Error('Sluice answers 401: its reads need a merchant (SANDBOX is off there)')
  return answer
}
