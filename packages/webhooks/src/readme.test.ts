// The README's examples do what they say: each is taken from the text and run, with real requests.
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, test } from 'vitest'

const readme = readFileSync(path.join(import.meta.dirname, '..', 'README.md'), 'utf8')
const examples = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code!)
const exampleOf = (mark: string) => examples.find((code) => code.includes(mark))!

const secret = `whsec_${randomBytes(32).toString('base64')}`
// Spaces and escapes that JSON.stringify would not give back.
const body =
  '{ "event": "payment.success", "timestamp": 1705315870, "data": { "payment": { "id": "pay_\\u0031" } } }'
const signed = () => ({
  'content-type': 'application/json',
  'webhook-id': 'a delivery',
  'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
  'webhook-signature': new Webhook(secret).sign('a delivery', new Date(), body),
})

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

interface Running {
  url: string
  logged: unknown[][]
}

/** Runs a module's text with its imports loaded from here, on a port of its own. */
async function run(code: string): Promise<Running> {
  const parts = code
    .replaceAll(/^import (\{.+\}) from '(.+)'$/gm, "const $1 = await load('$2')")
    .replaceAll(/^import (\w+) from '(.+)'$/gm, "const { default: $1 } = await load('$2')")
  expect(parts).not.toMatch(/^import /m)
  expect(parts).toContain('4000')
  const name = parts.includes('const server') ? 'server' : 'app.server'
  const AsyncFunction = (async () => {}).constructor as new (
    ...text: string[]
  ) => (...args: unknown[]) => Promise<Server>
  const main = new AsyncFunction(
    'load',
    'process',
    'console',
    `${parts.replace('4000', '0')}\nreturn ${name}`,
  )
  const logged: unknown[][] = []
  const log = (...words: unknown[]) => void logged.push(words)
  const server = await main(load, { env: { WEBHOOK_SECRET: secret } }, { log, error: log })
  servers.push(server)
  if (!server.listening) await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}/webhook`, logged }
}

const load = (specifier: string): Promise<unknown> => {
  if (specifier === 'express') return Promise.resolve({ default: standInForExpress })
  if (specifier === 'fastify') return loadFastify()
  return specifier === '@sluice/webhooks' ? import('./index.ts') : import(specifier)
}

/** On the loopback address that the test asks, whatever localhost means here. */
async function loadFastify(): Promise<unknown> {
  const { default: Fastify } = await import('fastify')
  const listenHere = (app: FastifyInstance) => {
    const listen = app.listen.bind(app)
    return Object.assign(app, { listen: (options: object) => listen({ ...options, host: '127.0.0.1' }) })
  }
  return { default: () => listenHere(Fastify()) }
}

type Request = IncomingMessage & { body?: unknown }
type Response = ServerResponse & { sendStatus(status: number): void }
type Handler = (request: Request, response: Response, next: (error?: unknown) => void) => void

/** What the example uses of Express, which is not worth sixty packages here: routes with middleware, raw bodies, sendStatus. */
function standInForExpress() {
  let handlers: Handler[] = []
  const server = createServer((request: Request, plain) => {
    const response = Object.assign(plain, {
      sendStatus: (status: number) => void plain.writeHead(status).end(),
    })
    const step = (index: number) => (error?: unknown) =>
      error === undefined ? handlers[index]?.(request, response, step(index + 1)) : response.sendStatus(500)
    step(0)()
  })
  return {
    post(_path: string, ...given: Handler[]) {
      handlers = given
    },
    listen: (port: number) => server.listen(port, '127.0.0.1'),
  }
}
standInForExpress.raw =
  ({ type }: { type: string }): Handler =>
  async (request, _response, next) => {
    request.body = request.headers['content-type'] === type ? await buffer(request) : {}
    next()
  }

test('there is an example for plain Node, Fastify and Express', () => {
  expect(examples).toHaveLength(3)
})

describe.each(["from 'node:http'", "from 'fastify'", "from 'express'"])('the example with %s', (mark) => {
  test('takes what is signed, by the bytes', async () => {
    const { url, logged } = await run(exampleOf(mark))
    expect((await fetch(url, { method: 'POST', headers: signed(), body })).status).toBe(200)
    expect(logged).toEqual([['payment.success', 'a delivery']])
  })

  test('answers 401 to everything else, and says why', async () => {
    const { url, logged } = await run(exampleOf(mark))
    const post = async (headers: Record<string, string>, text: string) =>
      (await fetch(url, { method: 'POST', headers, body: text })).status
    const hex = createHmac('sha256', secret).update(body).digest('hex')
    expect(await post(signed(), body.replace('pay_', 'PAY_'))).toBe(401)
    expect(await post({ ...signed(), 'webhook-timestamp': '1705315870' }, body)).toBe(401)
    expect(await post({ 'content-type': 'application/json', 'x-webhook-signature': hex }, body)).toBe(401)
    expect(logged).toEqual([['no_match'], ['bad_timestamp'], ['missing_header']])
  })
})
