// The OpenAPI document as somebody who has only it would use it: what it shows can be sent, and is what comes.
import { errorStatus } from '@sluice/contracts'
import { startSystem, type TestSystem } from '@sluice/testing'
import Value from 'typebox/value'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'

let system: TestSystem
let document: OpenApi
let operations: (Operation & { method: string; path: string })[]
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
  document = (await (await fetch(`${system.api.url}/openapi.json`)).json()) as OpenApi
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, method, path })),
  )
})
afterAll(() => system?.stop())

test('the example of every POST is taken as it is', async () => {
  const posts = operations.filter(({ method }) => method === 'post')
  expect(posts.map(({ path }) => path).sort()).toEqual(['/v1/webhooks/transactions', '/webhooks/payment'])
  for (const { path, requestBody } of posts) {
    const { example } = requestBody!.content['application/json']!
    const answer = await fetch(system.api.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(example),
    })
    expect({ path, status: answer.status }).toEqual({ path, status: 202 })
  }
})

test('the examples fit their schemas, and every error has one of its status', () => {
  for (const { path, method, requestBody, responses } of operations) {
    for (const { schema, example } of Object.values(requestBody?.content ?? {})) {
      expect([...Value.Errors(schema, example)], `${method} ${path}`).toEqual([])
    }
    for (const [status, { content }] of Object.entries(responses)) {
      for (const { schema, example } of Object.values(content)) {
        if (example !== undefined) {
          expect([...Value.Errors(schema, example)], `${method} ${path} ${status}`).toEqual([])
        }
        if (!('properties' in schema) || !('error' in (schema.properties as object))) continue
        const { error } = example as { error: { code: keyof typeof errorStatus; description: string } }
        expect(errorStatus[error.code], `${method} ${path}`).toBe(Number(status))
        expect(error.description).not.toContain('undefined')
      }
    }
  }
})

test('nothing that has a default is required of a query, and every parameter has a type', () => {
  const parameters = operations.flatMap(({ parameters = [] }) => parameters)
  const withDefault = parameters.filter(({ schema }) => schema.default !== undefined)
  expect(new Set(withDefault.map(({ name }) => name))).toEqual(new Set(['limit', 'offset']))
  expect(withDefault.filter(({ required }) => required)).toEqual([])
  expect(parameters.filter(({ schema }) => typeof schema.type !== 'string')).toEqual([])
})

test('the code of errors lists every code with its status', () => {
  const { schema } = document.paths['/payments']!.get!.responses['500']!.content['application/json']!
  const text = JSON.stringify(schema)
  for (const [code, status] of Object.entries(errorStatus)) expect(text).toContain(`\`${code}\` (${status})`)
})

test('deliveries may be signed by the Standard Webhooks headers; nothing else is', () => {
  const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature']
  expect(Object.values(document.components.securitySchemes)).toEqual(
    names.map((name) => ({
      type: 'apiKey',
      in: 'header',
      name,
      description: expect.stringContaining('INBOUND_WEBHOOK_SECRET'),
    })),
  )
  for (const { method, security } of operations) {
    const optional = [Object.fromEntries(names.map((name) => [name, []])), {}]
    expect(security).toEqual(method === 'post' ? optional : undefined)
  }
})

test('answers are told as they are: the stream’s media type, the lists’ header, what each status means', async () => {
  const stream = document.paths['/payments/stream']!.get!.responses['200']!
  expect(Object.keys(stream.content)).toEqual(['text/event-stream'])
  const controller = new AbortController()
  const { headers } = await fetch(`${system.api.url}/payments/stream`, { signal: controller.signal })
  expect(headers.get('content-type')).toBe('text/event-stream')
  controller.abort()

  const withTotal = operations.filter(({ responses }) => responses['200']?.headers?.['X-Total-Count'])
  expect(withTotal.map(({ path }) => path).sort()).toEqual(['/payments', '/payments/{payment_id}/events'])
  expect(JSON.stringify(document)).not.toContain('Default Response')
})

test('the tags are in order, each with a line about it', () => {
  expect(document.tags).toEqual(
    ['Payment events', 'Transactions', 'Operations'].map((name) => ({
      name,
      description: expect.any(String),
    })),
  )
})

interface Media {
  schema: Record<string, unknown>
  example?: unknown
}

interface Operation {
  parameters?: { name: string; required?: boolean; schema: { type?: unknown; default?: unknown } }[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, { content: Record<string, Media>; headers?: Record<string, unknown> }>
  security?: unknown
}

interface OpenApi {
  tags: unknown
  components: { securitySchemes: Record<string, unknown> }
  paths: Record<string, Record<string, Operation>>
}
