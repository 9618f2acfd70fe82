// OpenAPI 3.1 from the contracts, and the reference page.
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import {
  inboundSignatureHeaders,
  merchantSchemes,
  type WebhookEventName,
  webhookEvents,
  webhookPayload,
} from '@sluice/contracts'
import type { ApiDeps, App } from './deps.ts'

export async function describeApi(app: App, { config }: Pick<ApiDeps, 'config'>): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sluice',
        version: '0.1.0',
        description: `Payment events: recorded durably before the response, processed in the background, exactly once in effect. And a payment gateway with a simulated bank: amounts are minor units there, and merchants call with \`X-Api-Key\` and \`X-Api-Secret\`${config.sandbox ? " (the sandbox's: `key_test_abc123`, `secret_test_xyz789`)" : ''}.`,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      // The page's own origin first: it may be opened as localhost, and browsers keep origins apart.
      servers: [{ url: '/' }, { url: config.publicApiUrl }],
      tags: [
        {
          name: 'Payment events',
          description: 'Events from processors, and the external payments that they describe',
        },
        { name: 'Transactions', description: 'Transactions from processors, and their status' },
        { name: 'Orders', description: 'Amounts to be paid' },
        { name: 'Payments', description: 'Attempts to pay an order, their capture, history and statistics' },
        { name: 'Refunds', description: 'Money of a payment that goes back to the payer' },
        {
          name: 'Webhooks',
          description: 'Notifications to merchants, signed and retried until they are delivered',
        },
        { name: 'Merchants', description: 'The calling merchant, and the login of the dashboard' },
        { name: 'Sandbox', description: 'For testers; absent with SANDBOX=false' },
        { name: 'Operations', description: 'Health, and conflicts for operators' },
      ],
      webhooks: Object.fromEntries(webhookEvents.map((event) => [event, { post: describeWebhook(event) }])),
      components: {
        securitySchemes: {
          ...merchantSchemes,
          ...Object.fromEntries(
            Object.entries(inboundSignatureHeaders).map(([name, description]) => [
              name,
              { type: 'apiKey' as const, in: 'header', name, description },
            ]),
          ),
        },
      },
    },
    transform,
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    theme: { title: 'Sluice API' },
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list', displayRequestDuration: true },
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}

/** Where the document differs from the schemas that the server validates with. */
const transform: NonNullable<FastifyDynamicSwaggerOptions['transform']> = ({ schema, url }) => {
  if (schema === undefined) return { schema, url }
  const { querystring, headers, response } = schema as RouteParts
  const isIdempotent = headers?.properties?.['idempotency-key'] !== undefined
  const withHeaders = (body: JsonSchema, status: string) =>
    byMediaType({ ...headersOf(status, isIdempotent), ...body })
  return {
    url,
    schema: {
      ...schema,
      ...(querystring === undefined ? {} : { querystring: asSent(querystring) }),
      ...(isIdempotent ? { headers: { properties: { 'Idempotency-Key': idempotencyKey } } } : {}),
      ...(response === undefined ? {} : { response: mapValues(response, withHeaders) }),
    },
  }
}

/** A webhook as an operation of the merchant's server. */
function describeWebhook(event: WebhookEventName) {
  const { summary, schema, example } = webhookPayload(event)
  return {
    operationId: `on${event.split(/[._]/).map(capitalized).join('')}`,
    summary,
    tags: ['Webhooks'],
    parameters: webhookHeaders,
    requestBody: { required: true, content: { 'application/json': { schema, example } } },
    responses: webhookResponses,
  }
}

const capitalized = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)

const webhookHeader = (name: string, pattern: string, description: string, required = true) => ({
  name,
  in: 'header',
  required,
  schema: { type: 'string' as const, pattern },
  description,
})

const webhookHeaders = [
  webhookHeader(
    'webhook-id',
    '^[0-9a-f-]{36}$',
    "The delivery's id, the same on every attempt and in `GET /api/v1/webhooks`. Webhooks arrive at least once: ignore an id that you have handled.",
  ),
  webhookHeader('webhook-timestamp', '^\\d+$', 'When this attempt was made, in Unix seconds'),
  webhookHeader(
    'webhook-signature',
    '^v1,[A-Za-z0-9+/]+=*( v1,[A-Za-z0-9+/]+=*)*$',
    '`v1,` and the base64 of HMAC-SHA256 over `webhook-id.webhook-timestamp.body`. The key is the bytes whose base64 follows `whsec_` in your webhook secret. Each replaced secret that still signs adds a value after a space. Absent if no secret is `whsec_` and the base64 of 24 to 64 bytes, as generated ones are.',
    false,
  ),
  webhookHeader(
    'X-Webhook-Signature',
    '^[0-9a-f]{64}$',
    'The lower-case hex HMAC-SHA256 of the body, with the text of your current webhook secret as key. It does not sign the time: verify `webhook-signature` where it is present.',
  ),
]

const webhookResponses = {
  '2XX': { description: 'Delivered. Sluice ignores the body of the response.' },
  default: {
    description:
      'A failed attempt, as is no response within 5 s; redirects are not followed. The next attempts come 1, 5, 30 and 120 minutes after the one before. `Retry-After` of a 429 or 503 delays them, up to an hour. After five attempts the webhook is `failed` until it is retried.',
  },
}

const idempotencyKey = {
  type: 'string',
  minLength: 1,
  maxLength: 255,
  pattern: '^[\\x21-\\x7e]*$',
  description:
    'Up to 255 visible ASCII characters. The same request with the same key, within 24 hours, has no second effect. It gets the first response, byte for byte, with `Idempotent-Replayed: true`; 409 while the first request runs. Errors are not stored: after one the key is free.',
}

/** The response headers that clients use. */
function headersOf(status: string, isIdempotent: boolean): { headers?: Record<string, JsonSchema> } {
  if (['409', '429', '503'].includes(status)) {
    return {
      headers: { 'Retry-After': { type: 'integer', description: 'Seconds to wait before trying again' } },
    }
  }
  if (!isIdempotent || !status.startsWith('2')) return {}
  const description = 'Present if this is the stored response to an earlier request with the same key'
  return { headers: { 'Idempotent-Replayed': { type: 'string', enum: ['true'], description } } }
}

/** A query as clients send it: a parameter with a default is optional for clients, and always set for handlers. */
function asSent(query: JsonSchema): JsonSchema {
  const required = query.required?.filter((name) => query.properties?.[name]?.default === undefined)
  return { ...query, required: required ?? [] }
}

/** A response that is not JSON, below its own media type. */
function byMediaType(body: JsonSchema): JsonSchema | { description?: string; content: object } {
  const { contentMediaType, description, examples, ...schema } = body
  if (contentMediaType === undefined) return body
  const example = examples === undefined ? {} : { example: examples[0] }
  return {
    ...(description === undefined ? {} : { description }),
    content: { [contentMediaType]: { schema, ...example } },
  }
}

const mapValues = <T, U>(record: Record<string, T>, map: (value: T, key: string) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]))

interface RouteParts {
  querystring?: JsonSchema
  headers?: JsonSchema
  response?: Record<string, JsonSchema>
}

interface JsonSchema {
  type?: string
  enum?: string[]
  headers?: Record<string, JsonSchema>
  properties?: Record<string, JsonSchema>
  required?: string[]
  default?: unknown
  description?: string
  examples?: unknown[]
  contentMediaType?: string
}
