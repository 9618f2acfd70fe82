// Holds Sluice to its acknowledgements: each acknowledged transaction is there, as it was sent, and becomes PROCESSED.
import { createClient, getTransaction, type Transaction } from '@sluice/contracts'
import type { TransactionBody } from '../transactions.ts'
import { type LedgerEntry, pause } from './processor.ts'

const READERS = 16
const STILL_PROCESSING_MAX = 64
const PASS_EVERY_MS = 500

export type Confirmation = {
  processed: number
  /** Acknowledged ids by what is wrong with them. */
  problems: { id: string; problem: string }[]
  /** Still PROCESSING when `waitMs` had passed without any progress. */
  unprocessed: number
}

export async function confirmProcessed(
  url: string,
  ledger: ReadonlyMap<string, LedgerEntry>,
  waitMs: number,
  onProgress: (processed: number, of: number) => void,
  signal: AbortSignal,
): Promise<Confirmation> {
  const call = createClient(url)
  const problems: Confirmation['problems'] = []
  let waiting = [...ledger.keys()]
  let processed = 0
  let progressAt = Date.now()

  async function check(id: string): Promise<'done' | 'processing'> {
    const answer = await call(getTransaction, { params: { transaction_id: id } }).catch(() => undefined)
    // No answer and 503 say nothing about the transaction: asked again until nothing has moved for too long.
    if (answer === undefined || answer.status === 503 || answer.status === 429) return 'processing'
    if (answer.status === 401)
      throw new Error('Sluice answers 401: its reads need a merchant (SANDBOX is off there)')
    const problem =
      answer.status === 200 ? difference(ledger.get(id), answer.body) : `GET answers ${answer.status}`
    if (problem !== undefined) problems.push({ id, problem })
    else if (answer.status === 200 && answer.body.status === 'PROCESSING') return 'processing'
    else processed++
    return 'done'
  }

  while (waiting.length > 0 && !signal.aborted && Date.now() - progressAt < waitMs) {
    const before = waiting.length
    waiting = await onePass(waiting, check)
    if (waiting.length < before) progressAt = Date.now()
    onProgress(processed, ledger.size)
    if (waiting.length > 0) await pause(PASS_EVERY_MS, signal)
  }
  return { processed, problems, unprocessed: waiting.length }
}

/** Asks in the order of acknowledgement, and gives up for now once many in a row are not due yet. */
async function onePass(
  ids: string[],
  check: (id: string) => Promise<'done' | 'processing'>,
): Promise<string[]> {
  const remaining: string[] = []
  let next = 0
  let inARow = 0
  const reader = async () => {
    while (next < ids.length && inARow < STILL_PROCESSING_MAX) {
      const id = ids[next++]!
      if ((await check(id)) === 'processing') {
        remaining.push(id)
        inARow++
      } else inARow = 0
    }
  }
  await Promise.all(Array.from({ length: READERS }, reader))
  return [...remaining, ...ids.slice(next)]
}

function difference(entry: LedgerEntry | undefined, stored: Transaction): string | undefined {
  if (entry && entry.takenTimes > 1) return `was acknowledged ${entry.takenTimes} times as new`
  const sent = entry?.takenAs
  if (sent === undefined) return undefined // the answer that took it was lost on the way
  const fields = Object.keys(sent) as (keyof TransactionBody)[]
  const wrong = fields.filter((field) => sent[field] !== stored[field])
  return wrong.length === 0 ? undefined : `differs in ${wrong.join(', ')} from what was sent first`
}
