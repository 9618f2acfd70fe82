// Routes and schemas of webhooks to merchants: settings, deliveries with their attempts, retries and replays.
import { type Static, Type } from 'typebox'
import { Nullable, Page, PlainText, pageFields, Timestamp } from './fields.ts'
import { DayOrTime } from './payments.ts'
import { defineRoute } from './route.ts'

export const webhookStatuses = ['pending', 'success', 'failed'] as const
const WebhookStatus = Type.Enum(webhookStatuses, {
  type: 'string',
  description: `one of ${webhookStatuses.join(', ')}`,
})

/** The events that merchants get webhooks for. */
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

const NO_RESPONSE = 'dns, refused, reset, tls, timeout, invalid_response, blocked_address, invalid_url, other'

const fields = {
  id: Type.String(),
  event: Type.String(),
  status: WebhookStatus,
  attempts: Type.Integer({ description: 'Failed and successful attempts since the last manual retry' }),
  created_at: Timestamp,
  last_attempt_at: Nullable(Timestamp),
  next_retry_at: Nullable(Timestamp),
  response_code: Nullable(
    Type.Integer({ description: 'HTTP status of the last attempt; null without a response' }),
  ),
  response_body: Nullable(Type.String({ description: 'The first 4 KiB of the response body' })),
  error: Nullable(
    Type.String({
      description: `Why there is no response: ${NO_RESPONSE}; or no_url if the URL was removed before an attempt`,
    }),
  ),
}

export const Webhook = Type.Object(fields, {
  description: 'A delivery: a webhook to your endpoint',
  examples: [example],
})
export type Webhook = Static<typeof Webhook>

/** The attempts that a response shows at most, since manual retries and replays have no limit. */
export const WEBHOOK_HISTORY_MAX = 100

export const WebhookWithAttempts = Type.Object(
  {
    ...fields,
    payload: Type.Object(
      {},
      { additionalProperties: true, description: 'The body of the webhook, as it is sent' },
    ),
    history: Type.Array(
      Type.Object({
        number: Type.Integer({ description: 'Counts all attempts; a manual retry does not reset it' }),
        at: Timestamp,
        duration_ms: Type.Integer(),
        response_code: Nullable(Type.Integer()),
        error: Nullable(Type.String({ description: `Why there is no response: ${NO_RESPONSE}` })),
        response_body: Nullable(Type.String()),
      }),
      { description: `The attempts, oldest first; at most the last ${WEBHOOK_HISTORY_MAX}` },
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
  summary: 'List your webhooks, newest first',
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
  description:
    'Resets the attempts to zero. During an attempt it takes effect after that attempt. 400 while no URL is set.',
  tags,
  access: 'merchant',
  params,
  response: {
    200: Type.Object(
      { id: Type.String(), status: Type.Literal('pending'), message: Type.String() },
      {
        description: 'The webhook is due now',
        examples: [{ id: example.id, status: 'pending', message: 'Webhook retry scheduled' }],
      },
    ),
  },
  errors: ['AUTHENTICATION_ERROR', 'NOT_FOUND_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const ReplayRequest = Type.Object(
  {
    since: DayOrTime('; webhooks created then or later'),
    until: Type.Optional(DayOrTime('; webhooks created until then')),
    event: Type.Optional(EventName),
    status: Type.Optional(
      Type.Enum(['success', 'failed'], { type: 'string', description: 'one of success, failed' }),
    ),
    dry_run: Type.Optional(Type.Boolean({ description: 'a boolean: true to count only' })),
  },
  {
    // Sent webhooks cannot be undone, so a misspelt dry_run must not be ignored.
    additionalProperties: false,
    examples: [{ since: '2024-01-15T00:00:00Z', status: 'failed', dry_run: true }],
  },
)
export type ReplayRequest = Static<typeof ReplayRequest>

const ReplayResponse = Type.Object(
  {
    matched: Type.Integer({ description: 'Webhooks that match, counted up to 100000' }),
    scheduled: Type.Integer({
      description: 'Webhooks that are sent again, oldest first, at most 5000; 0 with dry_run',
    }),
    spread_seconds: Type.Integer({ description: 'The seconds over which sending them is spread' }),
    next_since: Nullable({
      ...Timestamp,
      description: 'If more match than are sent: the `since` of the request for the rest; otherwise null',
    }),
  },
  {
    description: 'How many webhooks match and are sent again',
    examples: [{ matched: 120, scheduled: 0, spread_seconds: 6, next_since: null }],
  },
)
export type ReplayResponse = Static<typeof ReplayResponse>

export const replayWebhooks = defineRoute({
  method: 'POST',
  url: '/api/v1/webhooks/replay',
  operationId: 'replayWebhooks',
  summary: 'Send the webhooks of a time range again, at a controlled rate',
  description: 'Sends the same webhooks under the same `webhook-id`. Pending webhooks stay unchanged.',
  tags,
  access: 'merchant',
  body: ReplayRequest,
  response: {
    200: ReplayResponse,
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
  summary: 'Set the URL of your webhooks',
  description: 'null removes the URL. The first URL gets a secret.',
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
    'For 24 hours the old secret also signs, as a further value of `webhook-signature`. It does so if it is `whsec_` and the base64 of 24 to 64 bytes, as generated secrets are. At most five old secrets sign; `expire_old` ends them all at once. `X-Webhook-Signature` uses the new secret from now on.',
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
            'When the old secret stops signing; null if it has stopped or never signed `webhook-signature`',
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
  description: 'Sends the event `webhook.test` with a sample payment.',
  tags,
  access: 'merchant',
  response: {
    200: Type.Object(
      { message: Type.String() },
      { description: 'The test webhook is due now', examples: [{ message: 'Test webhook scheduled' }] },
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
