// `npm run receiver` as users run it: its own process, real requests, and its output.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { createServer } from 'node:net'
import path from 'node:path'
import { waitFor } from '@sluice/testing'
import { Webhook } from 'standardwebhooks'
import { afterEach, expect, test } from 'vitest'

const main = path.resolve(import.meta.dirname, '..', 'dist', 'main.js')
const SANDBOX_SECRET = 'whsec_test_abc123'
const body = JSON.stringify({
  event: 'payment.success',
  timestamp: 1705315870,
  data: { payment: { id: 'pay_H8sK3jD9s2L1pQrT', amount: 50000, currency: 'INR' } },
})
const hexOf = (text: string, secret: string) => createHmac('sha256', secret).update(text).digest('hex')

const running: ChildProcess[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

function spawnReceiver(env: Record<string, string>) {
  const child = spawn(process.execPath, [main], {
    env: { RECEIVER_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  running.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream!.on('data', (chunk) => {
      output += chunk
    })
  return { child, exited: once(child, 'exit'), lines: () => output.trimEnd().split('\n') }
}

async function startReceiver(env: Record<string, string> = {}) {
  const receiver = spawnReceiver(env)
  const [{ url }] = (await once(receiver.child, 'message')) as [{ url: string }]
  const greeting = 2
  return {
    ...receiver,
    url,
    greeting: () => receiver.lines().slice(0, greeting),
    /** The lines printed for webhooks, without their time, once there are so many. */
    async printed(count: number): Promise<string[]> {
      const all = () => receiver.lines().slice(greeting)
      await waitFor(`${count} lines`, () => all().length >= count)
      expect(all()).toHaveLength(count)
      return all().map((line) => {
        expect(line).toMatch(/^\d\d:\d\d:\d\d {2}\S/)
        return line.slice('12:34:56  '.length).replaceAll(/ {3,}/g, '  ')
      })
    },
    async post(
      to: string,
      { id = 'w1', secret = SANDBOX_SECRET, text = body, ...more } = {},
    ): Promise<number> {
      const headers = { 'x-webhook-signature': hexOf(body, secret), 'webhook-id': id, ...more }
      return (await fetch(url + to, { method: 'POST', headers, body: text })).status
    },
  }
}

const ADVICE = "restart the receiver with WEBHOOK_SECRET=<the merchant's webhook_secret>"
const LINE = 'payment.success  pay_H8sK3jD9s2L1pQrT  500.00 INR  webhook w1'

test('a verified webhook is one line, its repetition is marked, and an unverified one is refused with the reason', async () => {
  const { url, post, printed, greeting } = await startReceiver()
  expect(greeting()[0]).toBe(
    `Waiting for webhooks, verified with the sandbox merchant's secret, ${SANDBOX_SECRET}. Your webhook URL: ${url}/webhook`,
  )
  expect(await post('/webhook')).toBe(200)
  expect(await post('/webhook')).toBe(200)
  expect(await post('/', { id: 'w2\u009b' })).toBe(200)
  expect(await post('/webhook', { secret: 'another' })).toBe(401)
  expect(await post('/webhook', { id: 'w3\u009b', text: body.replace('50000', '50001') })).toBe(401)
  expect((await fetch(`${url}/webhook`, { method: 'POST', body })).status).toBe(401)
  expect(await printed(6)).toEqual([
    LINE,
    `${LINE}  again (2nd time)`,
    LINE.replace('w1', 'w2\\u009b'),
    expect.stringMatching(/^NOT VERIFIED \(no_match\): .+ {2}webhook w1 {2}responded 401$/),
    expect.stringMatching(/^NOT VERIFIED \(no_match\): .+ {2}webhook w3\\u009b {2}responded 401$/),
    expect.stringMatching(/^NOT VERIFIED \(missing_header\): .+ {2}webhook \(no id\) {2}responded 401$/),
  ])
  for (const line of (await printed(6)).slice(3)) expect(line).toContain(ADVICE)
})

test('with a generated secret only the Standard Webhooks signature is accepted', async () => {
  const secret = `whsec_${randomBytes(32).toString('base64')}`
  const { post, printed, greeting } = await startReceiver({ WEBHOOK_SECRET: secret })
  expect(greeting()[0]).toContain('verified with the secret in WEBHOOK_SECRET.')
  expect(greeting().join()).not.toContain(secret)
  const signed = (at: Date) => ({
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign('w1', at, body),
  })
  expect(await post('/webhook', { secret, ...signed(new Date()) })).toBe(200)
  expect(await post('/webhook', { secret })).toBe(401)
  expect(await post('/webhook', { secret, ...signed(new Date(0)) })).toBe(401)
  const [, missing, late] = await printed(3)
  expect(missing).toMatch(/^NOT VERIFIED \(missing_header\)/)
  expect(missing).toContain(ADVICE)
  // Another secret would not change the timestamp.
  expect(late).toMatch(/^NOT VERIFIED \(bad_timestamp\): .+ {2}webhook w1 {2}responded 401$/)
  expect(late).not.toContain('WEBHOOK_SECRET')
})

test('it fails on request, always or several times for each webhook, but never accepts an unverified one', async () => {
  const { post, printed } = await startReceiver()
  expect(await post('/fail')).toBe(500)
  const statuses = []
  for (const id of ['w2', 'w2', 'w3', 'w2']) statuses.push(await post('/fail?status=503&times=2', { id }))
  expect(statuses).toEqual([503, 503, 503, 200])
  expect(await post('/fail', { secret: 'another' })).toBe(401)
  expect(await post('/fail?status=200')).toBe(400)
  expect(await printed(6)).toEqual([
    `${LINE}  responded 500`,
    `${LINE.replace('w1', 'w2')}  responded 503`,
    `${LINE.replace('w1', 'w2')}  again (2nd time)  responded 503`,
    `${LINE.replace('w1', 'w3')}  responded 503`,
    `${LINE.replace('w1', 'w2')}  again (3rd time)`,
    expect.stringMatching(/^NOT VERIFIED/),
  ])
})

test('it waits on request, and reports a sender that did not', async () => {
  const { url, post, printed } = await startReceiver()
  const before = performance.now()
  expect(await post('/slow?ms=300')).toBe(200)
  expect(performance.now() - before).toBeGreaterThanOrEqual(299)

  const headers = { 'x-webhook-signature': hexOf(body, SANDBOX_SECRET), 'webhook-id': 'w2' }
  const hangUp = new AbortController()
  const waiting = fetch(`${url}/slow?ms=600000`, { method: 'POST', headers, body, signal: hangUp.signal })
  await printed(2)
  hangUp.abort()
  await expect(waiting).rejects.toThrow()
  expect(await printed(3)).toEqual([
    `${LINE}  responds after 300 ms`,
    `${LINE.replace('w1', 'w2')}  responds after 600000 ms`,
    'the sender did not wait for the response  webhook w2',
  ])
})

test('it survives bodies that are too large or incomplete, and shows help to browsers', async () => {
  const { url, post, printed } = await startReceiver()
  const large = request(url, { method: 'POST' })
  large.on('error', () => {}) // the connection closes while the body is still being sent
  large.write(Buffer.alloc(1024 * 1024 + 1))
  const [response] = await once(large, 'response')
  expect(response.statusCode).toBe(413)
  large.destroy()

  const broken = request(url, { method: 'POST', headers: { 'content-length': '100' } })
  broken.on('error', () => {})
  broken.write('{')
  await once(broken, 'socket')
  await once(broken.socket!, 'connect')
  broken.destroy()

  expect(await (await fetch(url)).text()).toContain('/fail?times=2')
  expect((await fetch(url, { method: 'PUT' })).status).toBe(405)
  expect(await post('/webhook')).toBe(200)
  expect(await printed(1)).toEqual([LINE])
})

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  '%s ends it at once, even while a response is delayed',
  async (signal) => {
    const { child, exited, post, printed } = await startReceiver()
    const waiting = post('/slow?ms=600000').catch(() => 'cut off')
    await printed(1)
    child.kill(signal)
    expect(await exited).toEqual([0, null])
    expect(await waiting).toBe('cut off')
  },
)

test('a port in use and an invalid port are one line each that names the variable', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  try {
    const taken = spawnReceiver({ RECEIVER_PORT: String(port) })
    expect(await taken.exited).toEqual([1, null])
    expect(taken.lines()).toEqual([expect.stringMatching(`^RECEIVER_PORT is taken: .*${port}$`)])
  } finally {
    other.close()
  }
  const wrong = spawnReceiver({ RECEIVER_PORT: 'four thousand' })
  expect(await wrong.exited).toEqual([1, null])
  expect(wrong.lines()).toEqual(['RECEIVER_PORT must be an integer from 0 to 65535'])
})
