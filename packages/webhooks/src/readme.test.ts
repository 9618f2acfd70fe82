// The README's examples work: each is extracted from the text and run with real requests.
import { spawnSync } from 'node:child_process'
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
// Spaces and escapes that JSON.stringify would change.
const body =
  '{ "event": "payment.success", "timestamp": 1705315870, "data": { "payment": { "id": "pay_\\u0031" } } }'
const signed = (at = new Date()) => ({
  'content-type': 'application/json',
  'webhook-id': 'a delivery',
  'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
  'webhook-signature': new Webhook(secret).sign('a delivery', at, body),
})
const hexOf = (text: string, by: string) => createHmac('sha256', by).update(text).digest('hex')

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

/** Runs a module's text on its own port, with its imports loaded from here. */
async function run(code: string, env: object = { WEBHOOK_SECRET: secret }): Promise<Running> {
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
  const server = await main(load, { env }, { log, error: log })
  servers.push(server)
  if (!server.listening) await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}/webhook`, logged }
}

const load = (specifier: string): Promise<unknown> => {
  if (specifier === 'express') return Promise.resolve({ default: standInForExpress })
  if (specifier === 'fastify') return loadFastify()
  return specifier === '@sluice/webhooks' ? import('./index.ts') : import(specifier)
}

/** Makes Fastify listen on the test's loopback address, on any meaning of localhost. */
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

/** The parts of Express that the example uses, without its sixty packages: routes with middleware, raw bodies, sendStatus. */
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
  test('accepts a signed webhook by its bytes', async () => {
    const { url, logged } = await run(exampleOf(mark))
    expect((await fetch(url, { method: 'POST', headers: signed(), body })).status).toBe(200)
    expect(logged).toEqual([['payment.success', 'a delivery']])
  })

  test('responds 401 to everything else, and logs the reason', async () => {
    const { url, logged } = await run(exampleOf(mark))
    const post = async (headers: Record<string, string>, text: string) =>
      (await fetch(url, { method: 'POST', headers, body: text })).status
    const hex = hexOf(body, secret)
    expect(await post(signed(), body.replace('pay_', 'PAY_'))).toBe(401)
    expect(await post({ ...signed(), 'webhook-timestamp': '1705315870' }, body)).toBe(401)
    expect(await post({ 'content-type': 'application/json', 'x-webhook-signature': hex }, body)).toBe(401)
    expect(logged).toEqual([['no_match'], ['bad_timestamp'], ['missing_header']])
  })

  test.each([{}, { WEBHOOK_SECRET: '' }, { WEBHOOK_SECRET: '\n' }])(
    'does not start without a secret, and names the variable',
    async (env) => {
      await expect(run(exampleOf(mark), env)).rejects.toThrow(/^Set WEBHOOK_SECRET to /)
    },
  )

  test('accepts a secret with the line break of its file', async () => {
    const { url } = await run(exampleOf(mark), { WEBHOOK_SECRET: `${secret}\n` })
    expect((await fetch(url, { method: 'POST', headers: signed(), body })).status).toBe(200)
  })
})

// Runs where Python is installed.
if (spawnSync('python3', ['--version']).status === 0) {
  test('the example in Python accepts signed webhooks by their bytes, and nothing else', () => {
    const [, code] = /^```python\n(.*?)^```$/ms.exec(readme)!
    const plain = 'whsec_test_abc123'
    const older = `whsec_${randomBytes(32).toString('base64')}`
    const good = signed()
    const { 'webhook-signature': signature } = good
    const hex = { 'x-webhook-signature': hexOf(body, plain) }
    const cases: [name: string, body: string, headers: object, secret: string, expected: boolean][] = [
      ['is_genuine', body, good, secret, true],
      ['is_genuine', body, { ...good, 'webhook-signature': `v1,bm9uZQ== ${signature}` }, secret, true],
      ['is_genuine', body, good, older, false],
      ['is_genuine', body.replace('pay_', 'PAY_'), good, secret, false],
      ['is_genuine', body, { ...good, 'webhook-id': 'another' }, secret, false],
      ['is_genuine', body, signed(new Date(Date.now() - 310_000)), secret, false],
      ['is_genuine', body, { ...good, 'webhook-timestamp': 'now' }, secret, false],
      ['is_genuine', body, { ...good, 'webhook-signature': '' }, secret, false],
      ['is_genuine', body, {}, secret, false],
      ['is_genuine_hex', body, hex, plain, true],
      ['is_genuine_hex', body, hex, 'another', false],
      ['is_genuine_hex', `${body} `, hex, plain, false],
      ['is_genuine_hex', body, {}, plain, false],
    ]
    const program = `${code}
import json, sys
print(json.dumps([globals()[name](body.encode(), headers, secret) for name, body, headers, secret, _ in json.load(sys.stdin)]))`
    const { stdout, stderr } = spawnSync('python3', ['-c', program], {
      input: JSON.stringify(cases),
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual(cases.map((one) => one.at(-1)))
  })
}
