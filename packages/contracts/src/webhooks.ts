// Webhooks to merchants: where they go, what was sent, and sending it again (SPEC 5 and 6).
import { type Static, Type } from 'typebox'
import { Nullable, Page, PlainText, pageFields, Timestamp } from './fields.ts'
import { Moment } from './payments.ts'
import { defineRoute } from './route.ts'

export const webhookStatuses = ['pending', 'success', 'failed'] as const
const WebhookStatus = Type.Enum(webhookStatuses, {
  type: 'string',
  description: `one of ${webhookStatuses.join(', ')}`,
})

/** What merchants are told of. */
export const webhookEvents = [
  'payment.created',
  'payment.pending',
  'payment.success',
  'payment.failed',
  'refund.created',
  'refund.processed',
  'refund.failed',
  'transaction.processed',
  'external_payment.pending',
  'external_payment.completed',
  'external_payment.failed',
  'external_payment.refunded',
  'webhook.test',
] as const
export type WebhookEventName = (typeof webhookEvents)[number]
const EventName = Type.Enum(webhookEvents, {
  type: 'string',
  description: `one of ${webhookEvents.join(', ')}`,
})

const example = {
  id: '550e8400-e29b-41d4-a716-446655440001',
  event: 'payment.success',
  status: 'success',
  attempts: 1,
  created_at: '2024-01-15T10:31:10.000Z',
  last_attempt_at: '2024-01-15T10:31:11.000Z',
  next_retry_at: null,
  response_code: 200,
  response_body: 'OK',
  error: null,
} as const

const NO_ANSWER = 'dns, refused, reset, tls, timeout, invalid_response, blocked_address, invalid_url, other'

const fields = {
  id: Type.String(),
  event: Type.String(),
  status: WebhookStatus,
  attempts: Type.Integer({ description: 'Failed and successful ones, since the last manual retry' }),
  created_at: Timestamp,
  last_attempt_at: Nullable(Timestamp),
  next_retry_at: Nullable(Timestamp),
  response_code: Nullable(Type.Integer({ description: 'Of the last attempt; null when no answer came' })),
  response_body: Nullable(Type.String({ description: 'The first 4 KiB of it' })),
  error: Nullable(
    Type.String({
      description: `Why no answer came: ${NO_ANSWER}; or no_url, when the URL was taken away before an attempt`,
    }),
  ),
}

export const Webhook = Type.Object(fields, { description: 'A delivery', examples: [example] })
export type Webhook = Static<typeof Webhook>

/** Manual retries and replays may go on for ever. */
export const WEBHOOK_HISTORY_MAX = 100

export const WebhookWithAttempts = Type.Object(
  {
    ...fields,
    payload: Type.Object({}, { additionalProperties: true, description: 'The body, as it is sent' }),
    history: Type.Array(
      Type.Object({
        number: Type.Integer({ description: 'Running; never begins anew' }),
        at: Timestamp,
        duration_ms: Type.Integer(),
        response_code: Nullable(Type.Integer()),
        error: Nullable(Type.String({ description: `Why no answer came: ${NO_ANSWER}` })),
        response_body: Nullable(Type.String()),
      }),
      { description: `The attempts, the first one first; of very many the last ${WEBHOOK_HISTORY_MAX}` },
    ),
  },
  { description: 'A delivery with its body and its attempts' },
)
export type WebhookWithAttempts = Static<typeof WebhookWithAttempts>

const tags = ['Webhooks']
const params = Type.Object({ webhook_id: Type.String({ examples: [example.id] }) })

export const listWebhooks = defineRoute({
  method: 'GET',
  url: '/api/v1/webhooks',
  operationId: 'listWebhooks',
  summary: 'List the webhooks that were sent to you, newest first',
  tags,
  access: 'merchant',
  querystring: Type.Object({
    status: Type.Optional(WebhookStatus),
    event: Type.Optional(EventName),
    ...pageFields({ limitMax: 100, limitDefault: 10 }),
  }),
  response: { 200: Page(Webhook) },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const getWebhook = defineRoute({
  method: 'GET',
  url: '/api/v1/webhooks/:webhook_id',
  operationId: 'getWebhook',
  summary: 'Read a webhook with its attempts',
  tags,
  access: 'merchant',
  params,
  response: { 200: WebhookWithAttempts },
  errors: ['AUTHENTICATION_ERROR', 'NOT_FOUND_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const retryWebhook = defineRoute({
  method: 'POST',
  url: '/api/v1/webhooks/:webhook_id/retry',
  operationId: 'retryWebhook',
  summary: 'Send a webhook again, now',
  description: 'Attempts begin anew; during an attempt it takes effect after it. 400 while no URL is set.',
  tags,
  access: 'merchant',
  params,
  response: {
    200: Type.Object(
      { id: Type.String(), status: Type.Literal('pending'), message: Type.String() },
      {
        description: 'It is due',
        examples: [{ id: example.id, status: 'pending', message: 'Webhook retry scheduled' }],
      },
    ),
  },
  errors: ['AUTHENTICATION_ERROR', 'NOT_FOUND_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const ReplayRequest = Type.Object(
  {
    since: Moment('; webhooks of then or later'),
    until: Type.Optional(Moment('; webhooks until then')),
    event: Type.Optional(EventName),
    status: Type.Optional(
      Type.Enum(['success', 'failed'], { type: 'string', description: 'one of success, failed' }),
    ),
    dry_run: Type.Optional(Type.Boolean({ description: 'a boolean: true to count only' })),
  },
  {
    // What this sends can't be called back: a misspelt dry_run must not be ignored.
    additionalProperties: false,
    examples: [{ since: '2024-01-15T00:00:00Z', status: 'failed', dry_run: true }],
  },
)
export type ReplayRequest = Static<typeof ReplayRequest>

const ReplayAnswer = Type.Object(
  {
    matched: Type.Integer({ description: 'Webhooks that this asks for, counted up to 100000' }),
    scheduled: Type.Integer({
      description: 'Webhooks that are sent again, at most 5000, the oldest first; 0 with dry_run',
    }),
    spread_seconds: Type.Integer({ description: 'The time over which sending that many is spread' }),
    next_since: Nullable({
      ...Timestamp,
      description: 'Where not all of them are sent: ask again with this as `since` for the rest',
    }),
  },
  {
    description: 'How many these are',
    examples: [{ matched: 120, scheduled: 0, spread_seconds: 6, next_since: null }],
  },
)
export type ReplayAnswer = Static<typeof ReplayAnswer>

export const replayWebhooks = defineRoute({
  method: 'POST',
  url: '/api/v1/webhooks/replay',
  operationId: 'replayWebhooks',
  summary: 'Send webhooks of a time again, spread at a controlled rate',
  description:
    'The same webhooks under the same `webhook-id`; those that are still pending are left as they are.',
  tags,
  access: 'merchant',
  body: ReplayRequest,
  response: {
    200: ReplayAnswer,
  },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

const settings = {
  webhook_url: Nullable(Type.String()),
  webhook_secret: Nullable(Type.String()),
}

export const putWebhook = defineRoute({
  method: 'PUT',
  url: '/api/v1/merchant/webhook',
  operationId: 'putWebhook',
  summary: 'Set where your webhooks go',
  description: 'null takes the URL away. A secret is made with the first URL.',
  tags,
  access: 'merchant',
  body: Type.Object(
    {
      webhook_url: Nullable(PlainText(2048, 1, ': an http or https URL, or null')),
    },
    { examples: [{ webhook_url: 'http://127.0.0.1:4000/webhook' }] },
  ),
  response: {
    200: Type.Object(settings, {
      description: 'The settings',
      examples: [{ webhook_url: 'http://127.0.0.1:4000/webhook', webhook_secret: 'whsec_test_abc123' }],
    }),
  },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const regenerateWebhookSecret = defineRoute({
  method: 'POST',
  url: '/api/v1/merchant/webhook/secret',
  operationId: 'regenerateWebhookSecret',
  summary: 'Make a new webhook secret',
  description:
    'The old one signs too, as a further value of `webhook-signature`, for 24 hours, if it is `whsec_` and the base64 of 24 to 64 bytes as generated ones are; the last five do. `expire_old` ends all old ones at once. `X-Webhook-Signature` is by the new one from now on.',
  tags,
  access: 'merchant',
  body: Type.Object(
    {
      expire_old: Type.Optional(
        Type.Boolean({ description: 'a boolean: true to end the old secret at once' }),
      ),
    },
    { examples: [{ expire_old: false }] },
  ),
  response: {
    200: Type.Object(
      {
        ...settings,
        previous_secret_expires_at: Nullable({
          ...Timestamp,
          description:
            'When the old one stops signing; null when it has, or never signed `webhook-signature`',
        }),
      },
      { description: 'The settings, with the new secret' },
    ),
  },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const testWebhook = defineRoute({
  method: 'POST',
  url: '/api/v1/merchant/webhook/test',
  operationId: 'testWebhook',
  summary: 'Send yourself a test webhook',
  description: 'The event `webhook.test`, with a sample payment.',
  tags,
  access: 'merchant',
  response: {
    200: Type.Object(
      { message: Type.String() },
      { description: 'It is on its way', examples: [{ message: 'Test webhook scheduled' }] },
    ),
  },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
  errorExamples: {
    BAD_REQUEST_ERROR: {
      description: 'webhook_url must be set before a test can be sent',
      field: 'webhook_url',
    },
  },
})
