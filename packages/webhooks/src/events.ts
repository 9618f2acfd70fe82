// The types of webhook events, and the parser of a verified body.
import { WebhookVerificationError } from './error.ts'

/** A payment of the gateway. Amounts are integers of minor units (paise, cents), times ISO 8601. */
export interface WebhookPayment {
  id: string
  order_id: string
  amount: number
  currency: string
  method: 'upi' | 'card' | 'gateway'
  /** Only of upi payments. */
  vpa?: string
  /** Only of card payments. */
  card_network?: 'visa' | 'mastercard' | 'amex' | 'rupay' | 'unknown'
  /** Only of card payments. */
  card_last4?: string
  status: 'created' | 'pending' | 'success' | 'failed'
  captured: boolean
  /** The sum of refunds that are pending or processed. */
  refunded_amount: number
  /** Why the payment failed; null unless it failed. */
  error_code: string | null
  error_description: string | null
  created_at: string
  /** Webhooks arrive in any order. Of two states of a payment, the one with the later `updated_at` is current. */
  updated_at: string
}

/** A full or partial refund of a payment. The amount is an integer of minor units. */
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

/** A payment that a processor reports by its events. Amounts are integers of minor units. */
export interface WebhookExternalPayment {
  payment_id: string
  status: 'pending' | 'completed' | 'failed' | 'refunded'
  event: 'payment.pending' | 'payment.completed' | 'payment.failed' | 'payment.refunded'
  amount: number
  currency: string
  user_id: string
  refunded_amount: number
  /** The time of the event that decided the payment: Unix seconds by the processor's clock. */
  timestamp: number
  created_at: string
  updated_at: string
  events_count: number
}

interface EventOf<Event extends string, Data> {
  /**
   * The delivery's id, the same on every attempt: deduplicate by it. Only `webhook-signature` covers it. Undefined if
   * the request has no `webhook-id`, which only the hex signature allows.
   */
  id: string | undefined
  /** Determines the type of `data`. */
  event: Event
  /** The body's `event` as sent, also if `event` is `'unknown'`. */
  name: string
  /** The time of the change, in Unix seconds. */
  timestamp: number
  /** The same as a Date. */
  createdAt: Date
  data: Data
}

/** Switch on `event`. An event that is newer than this package is `'unknown'`: respond 200 and ignore it. */
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
  /** A sample that a merchant requested; no payment changed. */
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
 * Parses a verified body. It checks that the objects of the types are present, but not their fields.
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
    // Neither UTF-8 nor JSON: the error follows below.
  }
  throw notOurs('it must be a JSON object')
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const notOurs = (why: string) =>
  new WebhookVerificationError('bad_body', `The signed body is no webhook of Sluice: ${why}`)
