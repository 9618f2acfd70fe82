// OpenAPI 3.1 from the contracts, and the reference page.
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { merchantSchemes, signatureHeaders } from '@sluice/contracts'
import type { ApiDeps, App } from './app.ts'

export async function describeApi(app: App, { config }: Pick<ApiDeps, 'config'>): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sluice',
        version: '0.1.0',
        description:
          "Payment events: recorded durably before they are answered, processed in the background, exactly once in effect. And a payment gateway with a simulated bank: amounts are minor units there, merchants call with `X-Api-Key` and `X-Api-Secret` (the sandbox's: `key_test_abc123`, `secret_test_xyz789`).",
        license: { name: 'MIT', identifier: 'MIT' },
      },
      // The page's own origin first: it may be opened as localhost, and browsers keep origins apart.
      servers: [{ url: '/' }, { url: config.publicApiUrl }],
      tags: [
        {
          name: 'Payment events',
          description: 'Events from payment providers, and the payments they make up',
        },
        { name: 'Transactions', description: 'Transactions from processors, and their status' },
        { name: 'Orders', description: 'What is to be paid' },
        { name: 'Payments', description: 'Attempts to pay an order, their capture, history and numbers' },
        { name: 'Refunds', description: 'What of a payment goes back' },
        { name: 'Webhooks', description: 'What merchants are told, signed and retried until it lands' },
        { name: 'Merchants', description: 'Who calls, and how the dashboard logs in' },
        { name: 'Sandbox', description: 'What testers look at; not there with SANDBOX=false' },
        { name: 'Operations', description: 'Health, and what operators look into' },
      ],
      components: {
        securitySchemes: {
          ...merchantSchemes,
          ...Object.fromEntries(
            Object.entries(signatureHeaders).map(([name, description]) => [
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

/** What the document says otherwise than the schemas that the server itself runs on. */
const transform: NonNullable<FastifyDynamicSwaggerOptions['transform']> = ({ schema, url }) => {
  if (schema === undefined) return { schema, url }
  const { querystring, response } = schema as RouteParts
  return {
    url,
    schema: {
      ...schema,
      ...(querystring === undefined ? {} : { querystring: asSent(querystring) }),
      ...(response === undefined ? {} : { response: mapValues(response, byMediaType) }),
    },
  }
}

/** A query as clients send it: what has a default is there for handlers, yet clients may leave it out. */
function asSent(query: JsonSchema): JsonSchema {
  const required = query.required?.filter((name) => query.properties?.[name]?.default === undefined)
  return { ...query, required: required ?? [] }
}

/** An answer that is no JSON, below its own media type. */
function byMediaType(answer: JsonSchema): JsonSchema | { description?: string; content: object } {
  const { contentMediaType, description, examples, ...schema } = answer
  if (contentMediaType === undefined) return answer
  const example = examples === undefined ? {} : { example: examples[0] }
  return {
    ...(description === undefined ? {} : { description }),
    content: { [contentMediaType]: { schema, ...example } },
  }
}

const mapValues = <T, U>(record: Record<string, T>, map: (value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))

interface RouteParts {
  querystring?: JsonSchema
  response?: Record<string, JsonSchema>
}

interface JsonSchema {
  properties?: Record<string, JsonSchema>
  required?: string[]
  default?: unknown
  description?: string
  examples?: unknown[]
  contentMediaType?: string
}
