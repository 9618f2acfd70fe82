// The OpenAPI document: the API accepts its examples, and responses and webhooks match its schemas.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import AjvCompiler from '@fastify/ajv-compiler'
import {
  errorStatus,
  postPaymentEvent,
  postTransaction,
  putWebhook,
  regenerateWebhookSecret,
  testWebhook,
  webhookEvents,
} from '@sluice/contracts'
import {
  expectStatus,
  openShop,
  paymentEventBody,
  SEEDED_MERCHANT_ID,
  seededKeys,
  startSystem,
  type TestSystem,
  transactionBody,
  untilKnown,
  waitFor,
} from '@sluice/testing'
import { verify, type WebhookEvent } from '@sluice/webhooks'
import Value from 'typebox/value'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

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

const keys = { 'content-type': 'application/json', ...seededKeys }
const isOpen = ({ security }: Operation) =>
  security === undefined || security.some((way) => Object.keys(way).length === 0)

test('the API accepts the example of every POST, at the path of the parameter examples', async () => {
  // The objects of the examples: an unpaid order, a successful payment of another order, and a delivered webhook.
  await system.database.query(
    `WITH paid AS (
       INSERT INTO orders (id, merchant_id, amount, status, claimed_by)
       VALUES ('order_NXhj67fGH2jk9mPq', $1, 50000, 'created', NULL),
         ('order_0000000000000000', $1, 50000, 'paid', 'pay_H8sK3jD9s2L1pQrT'))
     INSERT INTO payments (id, order_id, merchant_id, amount, method, status, vpa, request_id, settled_at)
     VALUES ('pay_H8sK3jD9s2L1pQrT', 'order_0000000000000000', $1, 50000, 'upi', 'success', 'user@paytm', 'x', now())`,
    [SEEDED_MERCHANT_ID],
  )
  await addWebhook()
  const posts = operations.filter(({ method }) => method === 'post')
  expect(posts.map(({ path }) => path).sort()).toEqual([
    '/api/v1/merchant/webhook/secret',
    '/api/v1/merchant/webhook/test',
    '/api/v1/orders',
    '/api/v1/payments',
    '/api/v1/payments/public',
    '/api/v1/payments/{payment_id}/capture',
    '/api/v1/payments/{payment_id}/refunds',
    '/api/v1/session',
    '/api/v1/webhooks/replay',
    '/api/v1/webhooks/{webhook_id}/retry',
    '/v1/webhooks/transactions',
    '/webhooks/payment',
  ])
  for (const operation of posts) {
    const { path, requestBody, responses } = operation
    const [success] = Object.keys(responses).filter((status) => status.startsWith('2'))
    const examples = requestBody ? examplesOf(requestBody.content['application/json']!) : [undefined]
    for (const example of examples) {
      const response = await fetch(system.api.url + withExamples(operation), {
        method: 'POST',
        headers: isOpen(operation) ? { 'content-type': 'application/json' } : keys,
        ...(example === undefined ? {} : { body: JSON.stringify(example) }),
      })
      expect({ path, status: response.status }).toEqual({ path, status: Number(success) })
      const { schema } = responses[success!]!.content!['application/json']!
      expect([...Value.Errors(schema, JSON.parse(await response.text()))], path).toEqual([])
    }
  }
})

test('examples match their schemas, and every error status has an example with its code', () => {
  for (const { path, method, requestBody, responses } of operations) {
    for (const media of Object.values(requestBody?.content ?? {})) {
      expect(examplesOf(media), `${method} ${path}`).not.toEqual([])
      for (const example of examplesOf(media)) {
        expect([...Value.Errors(media.schema, example)], `${method} ${path}`).toEqual([])
      }
    }
    for (const [status, { content = {} }] of Object.entries(responses)) {
      for (const media of Object.values(content)) {
        for (const example of examplesOf(media)) {
          expect([...Value.Errors(media.schema, example)], `${method} ${path} ${status}`).toEqual([])
        }
        const isError = Number(status) >= 400 && 'error' in (media.schema.properties as object)
        if (!isError) continue
        expect(examplesOf(media), `${method} ${path} ${status}`).not.toEqual([])
        for (const { error } of examplesOf(media) as ErrorExample[]) {
          expect(errorStatus[error.code], `${method} ${path}`).toBe(Number(status))
          expect(error.description).not.toContain('undefined')
        }
      }
    }
  }
})

describe('error examples are the errors of the API', () => {
  const unknown = { order_id: 'order_AAAAAAAAAAAAAAAA', method: 'upi', vpa: 'user@paytm' }
  const card = {
    number: '4111111111111111',
    expiry_month: '1',
    expiry_year: '2020',
    cvv: '123',
    holder_name: 'J',
  }
  const noKeys = { 'content-type': 'application/json' }
  test.each<[code: string, method: string, path: string, body?: unknown, headers?: Record<string, string>]>([
    ['BAD_REQUEST_ERROR', 'post', '/api/v1/orders', { amount: '50000' }],
    ['BAD_REQUEST_ERROR', 'post', '/api/v1/payments', { ...unknown, order_id: 1 }],
    ['BAD_REQUEST_ERROR', 'post', '/api/v1/payments/{payment_id}/refunds', { amount: 0 }],
    ['BAD_REQUEST_ERROR', 'get', '/api/v1/orders?limit=0'],
    ['BAD_REQUEST_ERROR', 'get', '/api/v1/payments?status=x'],
    ['BAD_REQUEST_ERROR', 'get', '/api/v1/webhooks?status=x'],
    ['BAD_REQUEST_ERROR', 'post', '/api/v1/webhooks/replay', { since: 1 }],
    ['BAD_REQUEST_ERROR', 'put', '/api/v1/merchant/webhook', { webhook_url: 1 }],
    ['INVALID_VPA', 'post', '/api/v1/payments', { ...unknown, vpa: 'user' }],
    [
      'INVALID_CARD',
      'post',
      '/api/v1/payments',
      { ...unknown, method: 'card', card: { ...card, number: '1' } },
    ],
    ['EXPIRED_CARD', 'post', '/api/v1/payments', { ...unknown, method: 'card', card }],
    ['AUTHENTICATION_ERROR', 'get', '/api/v1/stats', undefined, {}],
    ['AUTHENTICATION_ERROR', 'post', '/api/v1/session', { email: 'no@body.example', password: 'x' }, noKeys],
    ['FORBIDDEN', 'post', '/api/v1/session', {}, { ...noKeys, origin: 'https://elsewhere.example' }],
    ['NOT_FOUND_ERROR', 'post', '/api/v1/payments', unknown],
    ['NOT_FOUND_ERROR', 'post', '/api/v1/payments/public', unknown],
    ['NOT_FOUND_ERROR', 'get', '/api/v1/orders/{order_id}/public'],
    ['NOT_FOUND_ERROR', 'get', '/api/v1/payments/{payment_id}/refunds'],
    ['NOT_FOUND_ERROR', 'get', '/api/v1/refunds/{refund_id}'],
    ['NOT_FOUND_ERROR', 'get', '/api/v1/webhooks/{webhook_id}'],
    ['NOT_FOUND_ERROR', 'post', '/api/v1/webhooks/{webhook_id}/retry'],
    ['NOT_FOUND_ERROR', 'post', '/api/v1/payments/{payment_id}/capture', { amount: 1 }],
    ['UNSUPPORTED_MEDIA_TYPE', 'post', '/api/v1/orders', {}, { ...seededKeys, 'content-type': 'text/plain' }],
    ['PAYLOAD_TOO_LARGE', 'post', '/api/v1/orders', 'x'.repeat(2 ** 20)],
  ])('%s of %s %s', async (code, method, path, body, headers = keys) => {
    const response = await fetch(system.api.url + path.replace(/\{\w+\}/, 'unknown'), {
      method: method.toUpperCase(),
      headers: method === 'get' && headers === keys ? seededKeys : headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const { error } = JSON.parse(await response.text()) as ErrorExample
    expect({ status: response.status, code: error.code }).toEqual({
      status: errorStatus[code as keyof typeof errorStatus],
      code,
    })
    const { responses } = document.paths[path.split('?')[0]!]![method]!
    const examples = examplesOf(responses[response.status]!.content!['application/json']!) as ErrorExample[]
    const shown = examples.find((example) => example.error.code === code)
    expect(shown?.error).toEqual({ ...error, request_id: expect.any(String) })
  })
})

test('a query parameter with a default is optional, and every parameter has a type', () => {
  const parameters = operations.flatMap(({ parameters = [] }) => parameters)
  const withDefault = parameters.filter(({ schema }) => schema.default !== undefined)
  expect(new Set(withDefault.map(({ name }) => name))).toEqual(new Set(['limit', 'offset']))
  expect(withDefault.filter(({ required }) => required)).toEqual([])
  expect(parameters.filter(({ schema }) => typeof schema.type !== 'string')).toEqual([])
})

test('the schema of error codes lists every code with its status', () => {
  const { schema } = document.paths['/payments']!.get!.responses['500']!.content!['application/json']!
  const text = JSON.stringify(schema)
  for (const [code, status] of Object.entries(errorStatus)) expect(text).toContain(`\`${code}\` (${status})`)
})

test('the document states that inbound events may be signed, and which routes need keys or a session', async () => {
  const signature = ['webhook-id', 'webhook-timestamp', 'webhook-signature']
  const schemes = document.components.securitySchemes
  for (const name of signature) {
    const description = expect.stringContaining('INBOUND_WEBHOOK_SECRET')
    expect(schemes[name]).toEqual({ type: 'apiKey', in: 'header', name, description })
  }
  expect(schemes).toMatchObject({
    apiKey: { in: 'header', name: 'X-Api-Key' },
    apiSecret: { in: 'header', name: 'X-Api-Secret' },
    session: { in: 'cookie', name: 'sluice_session' },
  })
  expect(Object.keys(schemes)).toHaveLength(6)
  const merchant = [{ apiKey: [], apiSecret: [] }, { session: [] }]
  const signed = [Object.fromEntries(signature.map((name) => [name, []])), {}]
  for (const operation of operations) {
    const { path, method, security } = operation
    if (!path.startsWith('/api/') && path.includes('webhook')) expect(security, path).toEqual(signed)
    else if (security !== undefined) expect(security.slice(0, 2), path).toEqual(merchant)
    if (path === '/payments/stream') continue // never ends
    const { status } = await fetch(system.api.url + path.replace(/\{\w+\}/, 'unknown'), {
      method: method.toUpperCase(),
      headers: method === 'post' ? { 'content-type': 'application/json' } : {},
    })
    expect({ method, path, refused: status === 401 }).toEqual({ method, path, refused: !isOpen(operation) })
  }
})

test('exactly the routes that use an Idempotency-Key document it', () => {
  const withKey = operations.filter(({ parameters = [] }) =>
    parameters.some(({ name }) => name === 'Idempotency-Key'),
  )
  expect(withKey.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
    'post /api/v1/orders',
    'post /api/v1/payments',
    'post /api/v1/payments/public',
    'post /api/v1/payments/{payment_id}/capture',
    'post /api/v1/payments/{payment_id}/refunds',
  ])
})

test('responses to a merchant’s reads match their schemas', async () => {
  const shop = openShop(system.call)
  const { id: orderId } = await shop.order()
  const { id: paymentId } = await shop.pay(orderId)
  const webhookId = await addWebhook()
  const ids: Record<string, string> = { order_id: orderId, payment_id: paymentId, webhook_id: webhookId }
  const gets = operations.filter(({ method, path }) => method === 'get' && path.startsWith('/api/v1/'))
  for (const { path, responses } of gets) {
    if (path.includes('{refund_id}')) continue // without a worker no payment can be refunded
    if (path === '/api/v1/stream') continue // never ends
    const url = path.replace(/\{(\w+)\}/, (_, name: string) => ids[name]!)
    const response = await fetch(system.api.url + url, { headers: seededKeys })
    expect({ path, status: response.status }).toEqual({ path, status: 200 })
    const { schema } = responses['200']!.content!['application/json']!
    expect([...Value.Errors(schema, JSON.parse(await response.text()))], path).toEqual([])
  }
})

test('responses are documented: the media type of the stream, the total of lists, the meaning of each status', async () => {
  const stream = document.paths['/payments/stream']!.get!.responses['200']!
  expect(Object.keys(stream.content!)).toEqual(['text/event-stream'])
  const controller = new AbortController()
  const { headers } = await fetch(`${system.api.url}/payments/stream`, { signal: controller.signal })
  expect(headers.get('content-type')).toBe('text/event-stream')
  controller.abort()

  const withTotal = operations.filter(({ responses }) => responses['200']?.headers?.['X-Total-Count'])
  expect(withTotal.map(({ path }) => path).sort()).toEqual(['/payments', '/payments/{payment_id}/events'])
  expect(JSON.stringify(document)).not.toContain('Default Response')
})

test('the tags are in order, each with a description', () => {
  const names = [
    'Payment events',
    'Transactions',
    'Orders',
    'Payments',
    'Refunds',
    'Webhooks',
    'Merchants',
    'Sandbox',
    'Operations',
  ]
  expect(document.tags).toEqual(names.map((name) => ({ name, description: expect.any(String) })))
  expect(new Set(operations.flatMap(({ tags }) => tags))).toEqual(new Set(names))
})

describe('webhooks', () => {
  const bodyOf = (event: string) => document.webhooks[event]!.post!.requestBody!.content['application/json']!

  test('every event has a summary, signature headers, a body and the expected responses', () => {
    expect(Object.keys(document.webhooks)).toEqual(webhookEvents)
    for (const [event, { post }] of Object.entries(document.webhooks)) {
      expect(post, event).toMatchObject({ summary: expect.any(String), tags: ['Webhooks'] })
      expect(Object.keys(post!.responses), event).toEqual(['2XX', 'default'])
      expect(post!.parameters!.map(({ name, required }) => [name, required])).toEqual([
        ['webhook-id', true],
        ['webhook-timestamp', true],
        ['webhook-signature', false],
        ['X-Webhook-Signature', true],
      ])
      const { example } = bodyOf(event)
      expect(example).toMatchObject({ event })
      expect(problemsOf(bodyOf(event).schema, example), event).toEqual([])
    }
    const ids = [...operations, ...Object.values(document.webhooks).map(({ post }) => post!)].map(
      ({ operationId }) => operationId,
    )
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('webhooks of every event match their schema, with no field more or less', async () => {
    const received = await webhooksOfEveryKind()
    expect(new Set(received.map(({ event }) => event.name))).toEqual(new Set(webhookEvents))
    for (const { event, headers, text } of received) {
      // The merchants' helper returns the same event name.
      expect(event.event).toBe(event.name)
      expect(problemsOf(bodyOf(event.name).schema, JSON.parse(text)), text).toEqual([])
      for (const { name, required, schema } of document.webhooks[event.name]!.post!.parameters!) {
        const value = headers[name.toLowerCase()]
        if (value === undefined) expect(required, name).toBe(false)
        else expect(value).toMatch(new RegExp(schema.pattern!))
      }
    }
  })

  test('a body with a missing or an extra field does not match', () => {
    const { schema, example } = bodyOf('refund.processed')
    const { event, timestamp, data } = example as {
      event: string
      timestamp: number
      data: { refund: object }
    }
    const { id, ...others } = data.refund as { id: string }
    const body = (refund: object) => ({ event, timestamp, data: { ...data, refund } })
    expect(problemsOf(schema, body({ id, ...others }))).toEqual([])
    expect(problemsOf(schema, body(others))).not.toEqual([])
    expect(problemsOf(schema, body({ id, ...others, more: 1 }))).not.toEqual([])
    expect(problemsOf(schema, { event: 'payment.created', timestamp, data })).not.toEqual([])
  })

  test('the bodies in the README of @sluice/webhooks match the schemas', () => {
    const readme = readFileSync(
      path.resolve(import.meta.dirname, '../../../packages/webhooks/README.md'),
      'utf8',
    )
    const bodies = [...readme.matchAll(/^```json\n(.*?)^```$/gms)].map(([, text]) => JSON.parse(text!))
    expect(bodies.map(({ event }) => event)).toEqual([
      'payment.success',
      'refund.processed',
      'transaction.processed',
      'external_payment.completed',
    ])
    for (const body of bodies) expect(problemsOf(bodyOf(body.event).schema, body), body.event).toEqual([])
  })
})

interface Received {
  event: WebhookEvent
  headers: IncomingHttpHeaders
  text: string
}

/** Webhooks of every event, signed with the sandbox's secret and then with a generated one. */
async function webhooksOfEveryKind(): Promise<Received[]> {
  const received: Received[] = []
  let secret = 'whsec_test_abc123'
  const endpoint = createServer(async (request, response) => {
    const body = await buffer(request)
    received.push({ event: verify(body, request.headers, secret), headers: request.headers, text: `${body}` })
    response.end()
  }).listen(0, '127.0.0.1')
  await once(endpoint, 'listening')
  const { port } = endpoint.address() as AddressInfo
  const running = await startSystem({ postgresUrl: inject('postgresUrl') })
  try {
    const call: typeof running.call = (route, input) => untilKnown(() => running.call(route, input))
    const input = { headers: seededKeys }
    await call(putWebhook, { ...input, body: { webhook_url: `http://127.0.0.1:${port}/` } })
    const shop = openShop(call)
    await shop.settled((await shop.pay((await shop.order()).id, 'failure@test')).id)
    await shop.refundSettled((await shop.refund((await shop.paid()).id, 100)).id)
    await shop.refundSettled((await shop.refund((await shop.paid(1000, 'refundfail@test')).id, 100)).id)
    await shop.settled((await shop.payByCard((await shop.order()).id, '4111111111111111')).id)
    await call(postTransaction, { body: transactionBody('txn_shown') })
    const statuses = ['pending', 'failed', 'completed', 'refunded'] as const
    for (const [i, status] of statuses.entries()) {
      const fields = { event: `payment.${status}` as const, timestamp: 1710000000 + i }
      await call(postPaymentEvent, { body: paymentEventBody(`evt_${i}`, 'pay_shown', fields) })
    }
    await waitFor(
      'all webhooks except the test',
      () => received.length >= 4 * 3 + 2 * 2 + 1 + statuses.length,
    )
    secret = expectStatus(await call(regenerateWebhookSecret, { ...input, body: {} }), 200).webhook_secret!
    await call(testWebhook, input)
    await waitFor('the test webhook', () => received.some(({ event }) => event.name === 'webhook.test'))
    return received
  } finally {
    await running.stop()
    endpoint.closeAllConnections()
    endpoint.close()
  }
}

/** The errors of Ajv, which merchants may use; a field that the schema does not have is an error. */
function problemsOf(schema: object, value: unknown): unknown[] {
  const compile = AjvCompiler()(
    {},
    { customOptions: { allErrors: true, coerceTypes: false, removeAdditional: false } },
  )
  const validate = compile({ schema: closed(schema) } as never) as ((value: unknown) => boolean) & {
    errors?: unknown[] | null
  }
  return validate(value) ? [] : validate.errors!
}

function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const parts = Object.entries(schema).map(([key, part]) => [key, closed(part)])
  return {
    ...Object.fromEntries(parts),
    ...('properties' in schema && { additionalProperties: false }),
  }
}

/** Adds the webhook of the examples, with an attempt and a URL. */
async function addWebhook(): Promise<string> {
  const id = '550e8400-e29b-41d4-a716-446655440001'
  await system.database.query('UPDATE merchants SET webhook_url = $2 WHERE id = $1', [
    SEEDED_MERCHANT_ID,
    'http://127.0.0.1:4000/webhook',
  ])
  await system.database.query(
    `INSERT INTO webhook_logs (id, merchant_id, event, payload, status, attempts, attempt_number, last_attempt_at,
       next_retry_at, response_code, response_body, request_id, settled_at)
     VALUES ($1, $2, 'payment.success', '{"event":"payment.success"}', 'success', 1, 1, now(), NULL, 200, 'OK', 'x', now())
     ON CONFLICT DO NOTHING`,
    [id, SEEDED_MERCHANT_ID],
  )
  await system.database.query(
    `INSERT INTO webhook_attempts (delivery_id, number, at, duration_ms, response_code, response_body)
     VALUES ($1, 1, now(), 12, 200, 'OK') ON CONFLICT DO NOTHING`,
    [id],
  )
  return id
}

/** All examples of a media type. */
const examplesOf = ({ example, examples }: Media): unknown[] =>
  example !== undefined ? [example] : Object.values(examples ?? {}).map(({ value }) => value)

/** The path with the examples of its parameters. */
const withExamples = ({ path, parameters = [] }: Operation & { path: string }): string =>
  path.replace(/\{(\w+)\}/, (_, parameter: string) =>
    String(parameters.find(({ name }) => name === parameter)?.example),
  )

interface ErrorExample {
  error: { code: keyof typeof errorStatus; description: string; field?: string; request_id?: string }
}

interface Media {
  schema: Record<string, unknown>
  example?: unknown
  examples?: Record<string, { value: unknown }>
}

interface Operation {
  operationId: string
  summary: string
  tags: string[]
  parameters?: {
    name: string
    required?: boolean
    example?: unknown
    schema: { type?: unknown; default?: unknown; pattern?: string }
  }[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, { content?: Record<string, Media>; headers?: Record<string, unknown> }>
  security?: Record<string, string[]>[]
}

interface OpenApi {
  tags: unknown
  components: { securitySchemes: Record<string, unknown> }
  paths: Record<string, Record<string, Operation>>
  webhooks: Record<string, Record<string, Operation>>
}
