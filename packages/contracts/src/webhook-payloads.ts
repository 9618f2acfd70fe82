// The bodies of webhooks for each event, with the same objects as the API.
import { type TObject, Type } from 'typebox'
import { ExternalPayment } from './payment-events.ts'
import { Payment } from './payments.ts'
import { Refund } from './refunds.ts'
import { Transaction } from './transactions.ts'
import type { WebhookEventName } from './webhooks.ts'

interface Payload {
  /** When the webhook is sent. */
  summary: string
  /** The objects in `data`. */
  data: Record<string, TObject>
  /** The example's differences from the objects' own examples. */
  example?: Record<string, object>
}

const succeeded = { status: 'success' }
const LATER = '2024-01-15T10:33:05.000Z'
const refundOf = (status: string, more: object = {}) => ({
  refund: { status, updated_at: status === 'pending' ? '2024-01-15T10:33:00.000Z' : LATER, ...more },
  payment: { ...succeeded, refunded_amount: status === 'failed' ? 0 : 50000 },
})
const externalOf = (status: string, more: object = {}) => ({
  payment: { status, event: `payment.${status}`, ...more },
})

const payloads: Record<WebhookEventName, Payload> = {
  'payment.created': { summary: 'A payment was created', data: { payment: Payment } },
  'payment.pending': { summary: 'A payment waits for the bank', data: { payment: Payment } },
  'payment.success': {
    summary: 'A payment succeeded: its order is paid',
    data: { payment: Payment },
    example: { payment: succeeded },
  },
  'payment.failed': {
    summary: 'A payment failed: error_code has the reason',
    data: { payment: Payment },
    example: {
      payment: {
        status: 'failed',
        error_code: 'PAYMENT_FAILED',
        error_description: "The payment was refused by the payer's bank",
      },
    },
  },
  'refund.created': {
    summary: 'A refund was created: its amount counts as refunded',
    data: { refund: Refund, payment: Payment },
    example: refundOf('pending'),
  },
  'refund.processed': {
    summary: 'A refund was returned to the payer',
    data: { refund: Refund, payment: Payment },
    example: refundOf('processed', { processed_at: LATER }),
  },
  'refund.failed': {
    summary: 'The bank refused a refund: its amount is available again',
    data: { refund: Refund, payment: Payment },
    example: refundOf('failed', {
      error_code: 'REFUND_FAILED',
      error_description: 'The refund was refused by the bank',
    }),
  },
  'transaction.processed': {
    summary: 'A transaction to one of your accounts was processed',
    data: { transaction: Transaction },
  },
  'external_payment.pending': {
    summary: 'A payment of a processor is pending',
    data: { payment: ExternalPayment },
    example: externalOf('pending'),
  },
  'external_payment.completed': {
    summary: 'A payment of a processor was completed',
    data: { payment: ExternalPayment },
    example: externalOf('completed'),
  },
  'external_payment.failed': {
    summary: 'A payment of a processor failed',
    data: { payment: ExternalPayment },
    example: externalOf('failed'),
  },
  'external_payment.refunded': {
    summary: 'A payment of a processor was refunded, in part or in full',
    data: { payment: ExternalPayment },
    example: externalOf('refunded', { refunded_amount: 25000, events_count: 2 }),
  },
  'webhook.test': {
    summary: 'A sample that you requested: no payment has changed',
    data: { payment: Payment },
    example: { payment: succeeded },
  },
}

/** The summary of an event, and the schema and example of its body. */
export function webhookPayload(event: WebhookEventName) {
  const { summary, data, example = {} } = payloads[event]
  const schema = Type.Object({
    event: Type.Literal(event),
    timestamp: Type.Integer({ description: 'When it happened: Unix seconds, the same on every attempt' }),
    data: Type.Object(data),
  })
  const objects = Object.entries(data).map(([name, object]): [string, Record<string, unknown>] => [
    name,
    { ...exampleOf(object), ...example[name] },
  ])
  // The first object is the changed one.
  const { updated_at, processed_at } = objects[0]![1]
  const timestamp = Date.parse(String(updated_at ?? processed_at)) / 1000
  return { summary, schema, example: { event, timestamp, data: Object.fromEntries(objects) } }
}

const exampleOf = (schema: TObject) => (schema as { examples?: object[] }).examples?.[0]
