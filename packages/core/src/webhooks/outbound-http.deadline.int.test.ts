// Outgoing POSTs to receivers that misbehave in every known way: one result each, of the right class, within the deadline.
import { once } from 'node:events'
import net from 'node:net'
import {
  type MisbehavingServer,
  type MisbehaviourName,
  misbehaviours,
  refusedUrl,
  startMisbehavingServer,
  startStoppedServer,
  testCertificate,
} from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ErrorClass } from './outbound-failure.ts'
import { createOutbound, type Outbound } from './outbound-http.ts'
import { outcomeOf } from './outcome.ts'

const DEADLINE_MS = 700
const LATE_MS = DEADLINE_MS + 500
const request = { headers: { 'content-type': 'application/json' }, body: '{"event":"webhook.test"}' }

const RESPONSES: [MisbehaviourName, status: number, body: string | RegExp][] = [
  ['ok', 200, 'ok'],
  ['ok-and-close', 200, 'ok'],
  ['no-content', 204, ''],
  ['client-error', 404, 'gone'],
  ['server-error', 500, 'oops'],
  ['busy', 503, ''],
  ['redirect-to-private', 301, ''],
  ['reset-after-header', 200, 'part'],
  ['close-mid-body', 500, 'part'],
  ['close-ends-body', 200, 'all of it'],
  ['hang-mid-body', 200, 'part'],
  ['endless-200', 200, /^x{65536}$/],
  ['endless-500', 500, /^x{65536}$/],
  ['endless-drip', 200, /^x{5,}$/],
  ['endless-trailers', 200, ''],
  ['http-1.0', 200, 'ok'],
  ['bad-chunk', 200, ''],
  ['longer-than-its-length', 200, 'ok'],
  ['two-responses', 200, 'ok'],
  ['trailers', 200, 'ok'],
  ['early-hints', 200, 'ok'],
]
const FAILURES: [MisbehaviourName, ErrorClass][] = [
  ['reset-before-header', 'reset'],
  ['reset-mid-header', 'reset'],
  ['close-before-header', 'reset'],
  ['close-mid-header', 'reset'],
  ['hang-before-header', 'timeout'],
  ['hang-mid-header', 'timeout'],
  ['endless-early-hints', 'timeout'],
  ['endless-header', 'timeout'],
  ['endless-status-line', 'timeout'],
  ['large-header', 'invalid_response'],
  ['many-headers', 'invalid_response'],
  ['odd-headers', 'invalid_response'],
  ['garbage', 'invalid_response'],
  ['garbage-bytes', 'invalid_response'],
  ['old-http', 'invalid_response'],
  ['two-lengths', 'invalid_response'],
  ['continue', 'invalid_response'],
  ['switching-protocols', 'invalid_response'],
]
const TESTED_ELSEWHERE: MisbehaviourName[] = [
  'gzip-bomb',
  'bad-text',
  'reset-second-request',
  'close-when-idle',
  'write-when-idle',
]

let server: MisbehavingServer
let outbound: Outbound
const faults: unknown[] = []
const onFault = (fault: unknown) => void faults.push(fault)

/** An outbound that may post to any address. */
const open = (options: Partial<Parameters<typeof createOutbound>[0]> = {}) =>
  createOutbound({
    allowPrivate: true,
    deadlineMs: DEADLINE_MS,
    ...options,
  })

beforeAll(async () => {
  process.on('uncaughtExceptionMonitor', onFault)
  process.on('unhandledRejection', onFault)
  server = await startMisbehavingServer()
  outbound = open()
})
afterAll(async () => {
  await outbound.close()
  await server.close()
  process.off('uncaughtExceptionMonitor', onFault)
  process.off('unhandledRejection', onFault)
  expect(faults).toEqual([])
})

const postTo = async (url: string, by = outbound) => {
  const startedAt = performance.now()
  const result = await by.post(url, request)
  expect(performance.now() - startedAt).toBeLessThan(LATE_MS)
  return result
}
const classOf = async (url: string, by = outbound) => {
  const result = await postTo(url, by)
  return result.is === 'failed' ? result.error : result.status
}

describe('a complete response header', () => {
  test.each(RESPONSES)(
    'of %s gives the status %i, with or without a complete body',
    async (name, status, body) => {
      const before = server.requests.length
      const result = await postTo(server.url(name))
      if (result.is === 'failed') throw new Error(JSON.stringify(result))
      expect(result.status).toBe(status)
      if (typeof body === 'string') expect(result.body.toString()).toBe(body)
      else expect(result.body.toString()).toMatch(body)
      // One attempt is one request: no redirect was followed.
      expect(server.requests.length).toBe(before + 1)
    },
  )

  test('and the request arrives unchanged, with its path and host', async () => {
    await postTo(`${server.url('ok')}?a=%20b`)
    const { line, head, body } = server.requests.at(-1)!
    expect(line).toBe('POST /ok?a=%20b')
    expect(head).toContain(`host: 127.0.0.1:${server.port}`)
    expect(head).toContain('content-type: application/json')
    expect(body).toBe(request.body)
  })

  test('and a gzip bomb stays compressed', async () => {
    const result = await postTo(server.url('gzip-bomb'))
    if (result.is === 'failed') throw new Error(JSON.stringify(result))
    expect(result.status).toBe(200)
    expect(result.body).toHaveLength(65_536)
    expect(result.body.subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]))
  })

  test('and invalid UTF-8 and NUL are returned unchanged, and stored as valid text', async () => {
    const result = await postTo(server.url('bad-text'))
    expect(result).toMatchObject({ is: 'responded', body: Buffer.from([0x61, 0xff, 0xfe, 0x00, 0xc3, 0x28]) })
    expect(outcomeOf(result, new Date()).responseBody).toBe('a\uFFFD\uFFFD\uFFFD\uFFFD(')
  })

  test('and the first Retry-After are returned', async () => {
    expect(await postTo(server.url('busy'))).toMatchObject({ headers: { retryAfter: '120' } })
  })
})

describe('without a complete header', () => {
  test.each(FAILURES)('%s is %s, after one request', async (name, error) => {
    const before = server.requests.length
    expect(await classOf(server.url(name))).toBe(error)
    expect(server.requests.length).toBe(before + 1)
  })

  test('a port without a listener is refused', async () => {
    expect(await classOf(await refusedUrl())).toBe('refused')
    expect(await classOf((await refusedUrl()).replace('127.0.0.1', 'localhost'))).toBe('refused')
  })

  test.skipIf(process.platform !== 'linux')(
    'a listener that accepts no connection is timeout, and nothing is sent later',
    async () => {
      const stopped = await startStoppedServer()
      try {
        const result = await postTo(stopped.url)
        expect(result).toMatchObject({ error: 'timeout', message: expect.stringContaining('connecting') })
        expect(await stopped.resume()).toBe('')
      } finally {
        await stopped.close()
      }
    },
  )

  test('every known misbehaviour is tested', () => {
    const tried = [...RESPONSES, ...FAILURES].map(([name]) => name)
    expect([...tried, ...TESTED_ELSEWHERE].sort()).toEqual(Object.keys(misbehaviours).sort())
  })
})

describe('TLS', () => {
  test('an untrusted certificate is refused, and nothing is sent', async () => {
    const before = server.requests.length
    expect(await postTo(server.tlsUrl('ok'))).toMatchObject({
      error: 'tls',
      message: expect.stringContaining('DEPTH_ZERO_SELF_SIGNED_CERT'),
    })
    expect(server.requests.length).toBe(before)
  })

  test('a certificate for another name is refused; the right one is accepted, also on a kept connection', async () => {
    const trusting = open({ ca: testCertificate })
    expect(await classOf(server.tlsUrl('ok').replace('localhost', '127.0.0.1'), trusting)).toBe('tls')
    const before = server.connections()
    expect(await classOf(server.tlsUrl('ok'), trusting)).toBe(200)
    expect(await classOf(server.tlsUrl('ok'), trusting)).toBe(200)
    expect(server.connections()).toBe(before + 1)
    expect(await classOf(server.tlsUrl('ok').replace('localhost', 'shop.localhost'), trusting)).toBe('tls')
    await trusting.close()
  })

  test('a plain HTTP server behind an https URL, silent or not, is a failure', async () => {
    expect(await classOf(server.url('ok').replace('http:', 'https:'))).toBe('timeout')
    const talker = net
      .createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad\r\n\r\n'))
      .listen(0)
    await once(talker, 'listening')
    expect(await classOf(`https://localhost:${(talker.address() as net.AddressInfo).port}/`)).toBe('tls')
    talker.close()
  })
})

test('the default deadline is 5 s, with half a body or no response at all', async () => {
  const own = createOutbound({ allowPrivate: true })
  const results = await Promise.all(
    (['hang-before-header', 'hang-mid-body', 'endless-drip', 'endless-header'] as const).map((name) =>
      own.post(server.url(name), request),
    ),
  )
  expect(results.map((result) => (result.is === 'failed' ? result.error : result.status))).toEqual([
    'timeout',
    200,
    200,
    // 250 lines of 4 bytes: within the size limit of a header.
    'timeout',
  ])
  for (const { durationMs } of results) {
    expect(durationMs).toBeGreaterThanOrEqual(4_990)
    expect(durationMs).toBeLessThan(5_500)
  }
  await own.close()
})

test('a response that came before the deadline counts, even if this process was too busy to read it', async () => {
  const busy = net.createServer((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
      const until = performance.now() + DEADLINE_MS + 50
      while (performance.now() < until);
    })
  })
  busy.listen(0, '127.0.0.1')
  await once(busy, 'listening')
  const result = await postTo(`http://127.0.0.1:${(busy.address() as net.AddressInfo).port}/`)
  expect(result).toMatchObject({ is: 'responded', status: 200 })
  busy.close()
})
