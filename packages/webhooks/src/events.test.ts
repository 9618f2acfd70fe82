// The events are those that the API sends; that their objects have the API's types is checked beside the signing.
import { createHmac } from 'node:crypto'
import { type WebhookEventName, webhookEvents, webhookPayload } from '@sluice/contracts'
import { expect, expectTypeOf, test } from 'vitest'
import { verify, type WebhookEvent } from './index.ts'

test.each(webhookEvents)('%s is known by its name', (name) => {
  const { example } = webhookPayload(name)
  const body = JSON.stringify(example)
  const signature = createHmac('sha256', 'a secret').update(body).digest('hex')
  const event = verify(body, { 'x-webhook-signature': signature }, 'a secret')
  expect(event).toMatchObject({ event: name, name, timestamp: example.timestamp, data: example.data })
})

test('no other is', () => {
  expectTypeOf<Exclude<WebhookEvent['event'], 'unknown'>>().toEqualTypeOf<WebhookEventName>()
})
