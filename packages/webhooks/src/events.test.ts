// The helper's events equal those that the API sends; core's signature test checks the types of their objects.
import { createHmac } from 'node:crypto'
import { type WebhookEventName, webhookEvents, webhookPayload } from '@sluice/contracts'
import { expect, expectTypeOf, test } from 'vitest'
import { verify, type WebhookEvent, type WebhookPayment, type WebhookRefund } from './index.ts'

const signatureOf = (body: string) => createHmac('sha256', 'a secret').update(body).digest('hex')

test.each(webhookEvents)('%s is known by its name', (name) => {
  const { example } = webhookPayload(name)
  const body = JSON.stringify(example)
  const signature = signatureOf(body)
  const event = verify(body, { 'x-webhook-signature': signature }, 'a secret')
  expect(event).toMatchObject({ event: name, name, timestamp: example.timestamp, data: example.data })
})

test('no other event is known', () => {
  expectTypeOf<Exclude<WebhookEvent['event'], 'unknown'>>().toEqualTypeOf<WebhookEventName>()
})

test('the types distinguish the events', () => {
  const take = (event: WebhookEvent) => {
    switch (event.event) {
      case 'payment.success':
      case 'webhook.test':
        expectTypeOf(event.data).toEqualTypeOf<{ payment: WebhookPayment }>()
        return event.data.payment.id
      case 'refund.processed':
        expectTypeOf(event.data).toEqualTypeOf<{ refund: WebhookRefund; payment: WebhookPayment }>()
        return event.data.refund.id
      case 'transaction.processed':
        return event.data.transaction.transaction_id
      case 'external_payment.completed':
        return event.data.payment.payment_id
      case 'unknown':
        expectTypeOf(event.data).toEqualTypeOf<Record<string, unknown>>()
        return event.name
      default:
        return undefined
    }
  }
  const body = '{"event":"payment.success","timestamp":1705315870,"data":{"payment":{"id":"pay_1"}}}'
  expect(take(verify(body, { 'x-webhook-signature': signatureOf(body) }, 'a secret'))).toBe('pay_1')
})
