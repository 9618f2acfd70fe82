// Posts inbound events under load and keeps a ledger of acknowledged ids, to compare with the database.
import { randomBytes } from 'node:crypto'
import { externalPaymentStatuses, type PaymentEventRequest } from '@sluice/contracts'
import { seededRandom } from './random.ts'

export interface Ledger {
  /** Ids with a 202 response. */
  acknowledged: Set<string>
  /** The number of responses of each status; 0 means no response. */
  statuses: Map<number, number>
  /** The slowest response. */
  slowest: { ms: number; status: number; at: string }
}

export interface LoadOptions {
  /** The URL of the API; read before each request, since a restarted API may have another one. */
  url: () => string
  connections?: number
  /** The kinds of events, posted in turns; both by default. */
  kinds?: readonly InboundKind[]
  /** The load ends when this is aborted, or after `count` events. */
  signal?: AbortSignal
  count?: number
  /** Sends events again that were not acknowledged, as a processor does. */
  resend?: boolean
}

type InboundKind = 'transaction' | 'payment_event'

export const transactionBody = (transactionId: string, fields: Record<string, unknown> = {}) => ({
  transaction_id: transactionId,
  source_account: 'acc_user_789',
  destination_account: 'acc_merchant_456',
  amount: 1500,
  currency: 'INR',
  ...fields,
})

export const paymentEventBody = (
  eventId: string,
  paymentId: string,
  fields: Partial<Omit<PaymentEventRequest, 'event_id' | 'payment_id'>> = {},
) => ({
  event_id: eventId,
  payment_id: paymentId,
  event: 'payment.completed' as PaymentEventRequest['event'],
  amount: 25000,
  currency: 'USD',
  user_id: 'user_881',
  timestamp: 1710000000,
  ...fields,
})

const urls = { transaction: '/v1/webhooks/transactions', payment_event: '/webhooks/payment' }

const random = seededRandom('inbound events under load')

/** A payment gets eight events, of random statuses and in random order. */
const EVENTS_PER_PAYMENT = 8

const bodies: Record<InboundKind, (prefix: string, n: number) => { id: string; body: object }> = {
  transaction(prefix, n) {
    const id = `txn_${prefix}_${n}`
    return { id, body: transactionBody(id) }
  },
  payment_event(prefix, n) {
    const id = `evt_${prefix}_${n}`
    const status = externalPaymentStatuses[Math.floor(random() * externalPaymentStatuses.length)]!
    const paymentId = `pay_${prefix}_${Math.floor(n / EVENTS_PER_PAYMENT)}`
    const timestamp = 1710000000 + Math.floor(random() * EVENTS_PER_PAYMENT)
    return {
      id,
      body: paymentEventBody(id, paymentId, { event: `payment.${status}`, amount: 100, timestamp }),
    }
  },
}

/** Posts unique events over several connections until the signal or `count` ends it; returns the ledger. Never rejects. */
export async function postEvents(options: LoadOptions): Promise<Ledger> {
  const { url, connections = 20, signal, count = Number.POSITIVE_INFINITY, resend = false } = options
  const { kinds = ['transaction', 'payment_event'] } = options
  const ledger: Ledger = {
    acknowledged: new Set(),
    statuses: new Map(),
    slowest: { ms: 0, status: 0, at: '' },
  }
  const prefix = randomBytes(4).toString('hex')
  let sent = 0

  async function post(kind: InboundKind, body: string): Promise<number> {
    const startedAt = performance.now()
    try {
      const response = await fetch(url() + urls[kind], {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(5000),
      })
      await response.arrayBuffer()
      const ms = performance.now() - startedAt
      if (ms > ledger.slowest.ms)
        ledger.slowest = { ms, status: response.status, at: new Date().toISOString() }
      return response.status
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20)) // no tight loop while the API is down
      return 0
    }
  }

  async function connection(): Promise<void> {
    while (!signal?.aborted && sent < count) {
      const n = sent++
      const kind = kinds[n % kinds.length]!
      const { id, body } = bodies[kind](prefix, Math.floor(n / kinds.length))
      const text = JSON.stringify(body)
      for (;;) {
        const status = await post(kind, text)
        ledger.statuses.set(status, (ledger.statuses.get(status) ?? 0) + 1)
        if (status === 202) ledger.acknowledged.add(id)
        if (status === 202 || !resend || signal?.aborted) break
      }
    }
  }

  await Promise.all(Array.from({ length: connections }, connection))
  return ledger
}
