// The ledger: every id that was acknowledged, to be compared with what the database says in the end.
import { randomBytes } from 'node:crypto'

export interface Ledger {
  /** Ids that were answered 202. */
  acknowledged: Set<string>
  /** How many answers there were of each status; 0 stands for no answer at all. */
  statuses: Map<number, number>
  /** The slowest answer. */
  slowest: { ms: number; status: number; at: string }
}

export interface LoadOptions {
  /** Where to post; read before each request, since an API may come back elsewhere. */
  url: () => string
  connections?: number
  /** The load goes on until this is aborted, or `count` requests were sent. */
  signal?: AbortSignal
  count?: number
  /** Send again, as a processor would, what was not acknowledged. */
  resend?: boolean
}

export const transactionBody = (transactionId: string, fields: Record<string, unknown> = {}) => ({
  transaction_id: transactionId,
  source_account: 'acc_user_789',
  destination_account: 'acc_merchant_456',
  amount: 1500,
  currency: 'INR',
  ...fields,
})

/** Posts unique transactions over several connections until told to stop; answers the ledger. Never rejects. */
export async function postTransactions(options: LoadOptions): Promise<Ledger> {
  const { url, connections = 20, signal, count = Number.POSITIVE_INFINITY, resend = false } = options
  const ledger: Ledger = {
    acknowledged: new Set(),
    statuses: new Map(),
    slowest: { ms: 0, status: 0, at: '' },
  }
  const prefix = randomBytes(4).toString('hex')
  let sent = 0

  async function post(id: string): Promise<number> {
    const startedAt = performance.now()
    try {
      const response = await fetch(`${url()}/v1/webhooks/transactions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(transactionBody(id)),
        signal: AbortSignal.timeout(5000),
      })
      await response.arrayBuffer()
      const ms = performance.now() - startedAt
      if (ms > ledger.slowest.ms)
        ledger.slowest = { ms, status: response.status, at: new Date().toISOString() }
      return response.status
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20)) // a dead API would be asked in a tight loop
      return 0
    }
  }

  async function connection(): Promise<void> {
    while (!signal?.aborted && sent < count) {
      const id = `txn_${prefix}_${++sent}`
      for (;;) {
        const status = await post(id)
        ledger.statuses.set(status, (ledger.statuses.get(status) ?? 0) + 1)
        if (status === 202) ledger.acknowledged.add(id)
        if (status === 202 || !resend || signal?.aborted) break
      }
    }
  }

  await Promise.all(Array.from({ length: connections }, connection))
  return ledger
}
