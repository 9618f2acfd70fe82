// Each acknowledged transaction is there, as it was sent, and becomes PROCESSED.
import { createClient, getTransaction, type Transaction } from '@sluice/contracts'
import type { TransactionBody } from '../transactions.ts'
import { type Confirmation, confirmAll, type Patience, tellingAnswer, type Verdict } from './confirm.ts'
import type { LedgerEntry } from './processor.ts'

export function confirmTransactions(
  url: string,
  ledger: ReadonlyMap<string, LedgerEntry<TransactionBody>>,
  patience: Patience,
): Promise<Confirmation> {
  const call = createClient(url)

  async function check(id: string): Promise<Verdict> {
    const answer = await tellingAnswer(call(getTransaction, { params: { transaction_id: id } }))
    if (answer === undefined) return 'open'
    if (answer.status !== 200) return { problem: `GET answers ${answer.status}` }
    const problem = difference(ledger.get(id), answer.body)
    if (problem !== undefined) return { problem }
    return answer.body.status === 'PROCESSING' ? 'open' : 'right'
  }

  return confirmAll([...ledger.keys()], check, patience)
}

function difference(
  entry: LedgerEntry<TransactionBody> | undefined,
  stored: Transaction,
): string | undefined {
  if (entry && entry.takenTimes > 1) return `was acknowledged ${entry.takenTimes} times as new`
  const sent = entry?.takenAs
  if (sent === undefined) return undefined // the answer that took it was lost on the way
  const fields = Object.keys(sent) as (keyof TransactionBody)[]
  const wrong = fields.filter((field) => sent[field] !== stored[field])
  return wrong.length === 0 ? undefined : `differs in ${wrong.join(', ')} from what was sent first`
}
