// Checks that each acknowledged transaction is stored as it was sent, and becomes PROCESSED.
import { createClient, getTransaction, type Transaction } from '@sluice/contracts'
import type { TransactionBody } from '../transactions.ts'
import {
  type CheckResult,
  type Confirmation,
  type ConfirmOptions,
  conclusive,
  confirmAll,
} from './confirm.ts'
import type { LedgerEntry } from './processor.ts'

export function confirmTransactions(
  url: string,
  ledger: ReadonlyMap<string, LedgerEntry<TransactionBody>>,
  options: ConfirmOptions,
): Promise<Confirmation> {
  const call = createClient(url)

  async function check(id: string): Promise<CheckResult> {
    const response = await conclusive(call(getTransaction, { params: { transaction_id: id } }))
    if (response === undefined) return 'open'
    if (response.status !== 200) return { problem: `GET responds ${response.status}` }
    const problem = difference(ledger.get(id), response.body)
    if (problem !== undefined) return { problem }
    return response.body.status === 'PROCESSING' ? 'open' : 'right'
  }

  return confirmAll([...ledger.keys()], check, options)
}

function difference(
  entry: LedgerEntry<TransactionBody> | undefined,
  stored: Transaction,
): string | undefined {
  if (entry && entry.acceptedTimes > 1) return `was acknowledged ${entry.acceptedTimes} times as new`
  const sent = entry?.acceptedAs
  if (sent === undefined) return undefined // the response that accepted it was lost
  const fields = Object.keys(sent) as (keyof TransactionBody)[]
  const wrong = fields.filter((field) => sent[field] !== stored[field])
  return wrong.length === 0 ? undefined : `differs in ${wrong.join(', ')} from what was sent first`
}
