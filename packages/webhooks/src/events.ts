// What webhooks say: the body `{"event","timestamp","data"}` as types, and the reading of a body whose signature was right.
import { WebhookVerificationError } from './error.ts'

/** A payment of the gateway. Amounts are integers of minor units (paise, cents), times ISO 8601. */
export interface WebhookPayment {
  id: string
  order_id: string
  amount: number
  currency: string
  method: 'upi' | 'card' | 'gateway'
  /** Of upi payments. */
  vpa?: string
  /** Of card payments. */
  card_network?: 'visa' | 'mastercard' | 'amex' | 'rupay' | 'unknown'
  /** Of card payments. */
  card_last4?: string
  status: 'created' | 'pending' | 'success' | 'failed'
  captured: boolean
  /** The sum of refunds that are pending or processed. */
  refunded_amount: number
  /** Why the payment failed; null unless it did. */
  error_code: string | null
  error_description: string | null
  created_at: string
  /** Webhooks come in any order: of two states of a payment the later one holds. */
  updated_at: string
}

/** A refund, of a part of its payment or all of it. The amount is an integer of minor units. */
export interface WebhookRefund {
  id: string
  payment_id: string
  amount: number
  reason: string | null
  status: 'pending' | 'processed' | 'failed'
  error_code: string | null
  error_description: string | null
  created_at: string
  updated_at: string
  processed_at: string | null
}

/** A transaction that a processor reported. The amount is in major units (rupees, dollars). */
export interface WebhookTransaction {
  transaction_id: string
  source_account: string
  destination_account: string
  amount: number
  currency: string
  status: 'PROCESSING' | 'PROCESSED'
  created_at: string
  processed_at: string | null
}

/** A payment that is known through a processor's events. Amounts are integers of minor units. */
export interface WebhookExternalPayment {
  payment_id: string
  status: 'pending' | 'completed' | 'failed' | 'refunded'
  event: 'payment.pending' | 'payment.completed' | 'payment.failed' | 'payment.refunded'
  amount: number
  currency: string
  user_id: string
  refunded_amount: number
  /** Of the event that decided the payment: Unix seconds by the processor's clock. */
  timestamp: number
  created_at: string
  updated_at: string
  events_count: number
}

interface EventOf<Event extends string, Data> {
  /**
   * The delivery's id, the same on every attempt: who has seen it, has handled it. Signed only together with
   * `webhook-signature`; undefined when there was no `webhook-id`, which only the hex signature does without.
   */
  id: string | undefined
  /** What `data` depends on. */
  event: Event
  /** The body's `event` as it was sent, also where `event` is `'unknown'`. */
  name: string
  /** When it happened: Unix seconds. */
  timestamp: number
  /** The same as a Date. */
  createdAt: Date
  data: Data
}

/** Switch on `event`. Events that are newer than this package are `'unknown'`: answer 200 and let them be. */
export type WebhookEvent =
  | EventOf<
      'payment.created' | 'payment.pending' | 'payment.success' | 'payment.failed',
      { payment: WebhookPayment }
    >
  | EventOf<
      'refund.created' | 'refund.processed' | 'refund.failed',
      { refund: WebhookRefund; payment: WebhookPayment }
    >
  | EventOf<'transaction.processed', { transaction: WebhookTransaction }>
  | EventOf<
      | 'external_payment.pending'
      | 'external_payment.completed'
      | 'external_payment.failed'
      | 'external_payment.refunded',
      { payment: WebhookExternalPayment }
    >
  /** A sample that a merchant asked for: nothing has happened. */
  | EventOf<'webhook.test', { payment: WebhookPayment }>
  | EventOf<'unknown', Record<string, unknown>>

const contents: Record<Exclude<WebhookEvent['event'], 'unknown'>, readonly string[]> = {
  'payment.created': ['payment'],
  'payment.pending': ['payment'],
  'payment.success': ['payment'],
  'payment.failed': ['payment'],
  'refund.created': ['refund', 'payment'],
  'refund.processed': ['refund', 'payment'],
  'refund.failed': ['refund', 'payment'],
  'transaction.processed': ['transaction'],
  'external_payment.pending': ['payment'],
  'external_payment.completed': ['payment'],
  'external_payment.failed': ['payment'],
  'external_payment.refunded': ['payment'],
  'webhook.test': ['payment'],
}

/**
 * Reads a body that is known to be Sluice's, so its fields are not checked one by one; only that the objects are there
 * which the types promise.
 * @throws WebhookVerificationError `bad_body`
 */
export function readEvent(body: Uint8Array, id: string | undefined): WebhookEvent {
  const { event: name, timestamp, data } = parseObject(body)
  if (typeof name !== 'string' || !Number.isSafeInteger(timestamp) || !isObject(data)) {
    throw notOurs('it must have event, timestamp and data')
  }
  const needed = Object.hasOwn(contents, name) ? contents[name as keyof typeof contents] : undefined
  const missing = needed?.find((key) => !isObject(data[key]))
  if (missing !== undefined) throw notOurs(`the data of ${name} must have ${missing}`)
  const seconds = timestamp as number
  return {
    id,
    event: needed === undefined ? 'unknown' : name,
    name,
    timestamp: seconds,
    createdAt: new Date(seconds * 1000),
    data,
  } as WebhookEvent
}

function parseObject(body: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    if (isObject(value)) return value
  } catch {
    // Neither UTF-8 nor JSON: said below.
  }
  throw notOurs('it must be a JSON object')
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const notOurs = (why: string) =>
  new WebhookVerificationError('bad_body', `The signed body is no webhook of Sluice: ${why}`)
