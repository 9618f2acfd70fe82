// The door out against receivers that misbehave in every way we know: one result each, of the right class, in time.
import { once } from 'node:events'
import net from 'node:net'
import {
  type MisbehavingServer,
  type MisbehaviourName,
  misbehaviours,
  refusedUrl,
  startDeafServer,
  startMisbehavingServer,
  testCertificate,
  waitFor,
} from '@sluice/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOutbound, type Outbound } from './outbound-http.ts'
import { type ErrorClass, outcomeOf } from './outcome.ts'

const DEADLINE_MS = 700
const LATE_MS = DEADLINE_MS + 500
const request = { headers: { 'content-type': 'application/json' }, body: '{"event":"webhook.test"}' }

const ANSWERED: [MisbehaviourName, status: number, body: string | RegExp][] = [
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
  ['two-answers', 200, 'ok'],
  ['trailers', 200, 'ok'],
  ['early-hints', 200, 'ok'],
]
const FAILED: [MisbehaviourName, ErrorClass][] = [
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
const ELSEWHERE: MisbehaviourName[] = [
  'gzip-bomb',
  'bad-text',
  'reset-second-request',
  'close-when-idle',
  'speak-when-idle',
]

let server: MisbehavingServer
let outbound: Outbound
const faults: unknown[] = []
const onFault = (fault: unknown) => void faults.push(fault)

/** One that may go anywhere. */
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

describe('answers', () => {
  test.each(ANSWERED)('%s is %i, whatever becomes of the body', async (name, status, body) => {
    const before = server.requests.length
    const result = await postTo(server.url(name))
    if (result.is === 'failed') throw new Error(JSON.stringify(result))
    expect(result.status).toBe(status)
    if (typeof body === 'string') expect(result.body.toString()).toBe(body)
    else expect(result.body.toString()).toMatch(body)
    // One attempt, one request, and no redirect was followed.
    expect(server.requests.length).toBe(before + 1)
  })

  test('the request arrives as it was given, at its path and host', async () => {
    await postTo(`${server.url('ok')}?a=%20b`)
    const { line, head, body } = server.requests.at(-1)!
    expect(line).toBe('POST /ok?a=%20b')
    expect(head).toContain(`host: 127.0.0.1:${server.port}`)
    expect(head).toContain('content-type: application/json')
    expect(body).toBe(request.body)
  })

  test('a gzip bomb is only bytes', async () => {
    const result = await postTo(server.url('gzip-bomb'))
    if (result.is === 'failed') throw new Error(JSON.stringify(result))
    expect(result.status).toBe(200)
    expect(result.body).toHaveLength(65_536)
    expect(result.body.subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]))
  })

  test('invalid UTF-8 and NUL are handed on as they came, and kept as valid text', async () => {
    const result = await postTo(server.url('bad-text'))
    expect(result).toMatchObject({ is: 'answered', body: Buffer.from([0x61, 0xff, 0xfe, 0x00, 0xc3, 0x28]) })
    expect(outcomeOf(result, new Date()).responseBody).toBe('a\uFFFD\uFFFD\uFFFD\uFFFD(')
  })

  test('the first Retry-After is told', async () => {
    expect(await postTo(server.url('busy'))).toMatchObject({ headers: { retryAfter: '120' } })
  })
})

describe('no complete header', () => {
  test.each(FAILED)('%s is %s, after one request', async (name, error) => {
    const before = server.requests.length
    expect(await classOf(server.url(name))).toBe(error)
    expect(server.requests.length).toBe(before + 1)
  })

  test('nobody listens: refused', async () => {
    expect(await classOf(await refusedUrl())).toBe('refused')
    expect(await classOf((await refusedUrl()).replace('127.0.0.1', 'localhost'))).toBe('refused')
  })

  test.skipIf(process.platform !== 'linux')(
    'nobody takes the connection: timeout, and nothing is sent later',
    async () => {
      const deaf = await startDeafServer()
      try {
        const result = await postTo(deaf.url)
        expect(result).toMatchObject({ error: 'timeout', message: expect.stringContaining('connecting') })
        expect(await deaf.wake()).toBe('')
      } finally {
        await deaf.close()
      }
    },
  )

  test('and no misbehaviour is left out', () => {
    const tried = [...ANSWERED, ...FAILED].map(([name]) => name)
    expect([...tried, ...ELSEWHERE].sort()).toEqual(Object.keys(misbehaviours).sort())
  })
})

describe('TLS', () => {
  test('a certificate that nobody vouches for is refused, and nothing is sent', async () => {
    const before = server.requests.length
    expect(await postTo(server.tlsUrl('ok'))).toMatchObject({
      error: 'tls',
      message: expect.stringContaining('DEPTH_ZERO_SELF_SIGNED_CERT'),
    })
    expect(server.requests.length).toBe(before)
  })

  test('so is one for another name; the right one is taken, on a kept connection too', async () => {
    const trusting = open({ ca: testCertificate })
    expect(await classOf(server.tlsUrl('ok').replace('localhost', '127.0.0.1'), trusting)).toBe('tls')
    const before = server.connections()
    expect(await classOf(server.tlsUrl('ok'), trusting)).toBe(200)
    expect(await classOf(server.tlsUrl('ok'), trusting)).toBe(200)
    expect(server.connections()).toBe(before + 1)
    expect(await classOf(server.tlsUrl('ok').replace('localhost', 'shop.localhost'), trusting)).toBe('tls')
    await trusting.close()
  })

  test('plain HTTP where TLS was meant, and silence, end alike', async () => {
    expect(await classOf(server.url('ok').replace('http:', 'https:'))).toBe('timeout')
    const talker = net
      .createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad\r\n\r\n'))
      .listen(0)
    await once(talker, 'listening')
    expect(await classOf(`https://localhost:${(talker.address() as net.AddressInfo).port}/`)).toBe('tls')
    talker.close()
  })
})

test('the deadline is 5 s when nothing else is said, half a body or none', async () => {
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
    // 250 lines of 4 bytes: no more than a large header.
    'timeout',
  ])
  for (const { durationMs } of results) {
    expect(durationMs).toBeGreaterThanOrEqual(4_990)
    expect(durationMs).toBeLessThan(5_500)
  }
  await own.close()
})

test('an answer that came in time counts, though this process was too busy to read it', async () => {
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
  expect(result).toMatchObject({ is: 'answered', status: 200 })
  busy.close()
})

test('whatever bytes come back, in whatever pieces, there is one result and no crash', async () => {
  const own = open({ deadlineMs: 100 })
  let pieces: Uint8Array[] = []
  const fuzzer = net.createServer((socket) => {
    socket
      .on('error', () => {})
      .once('data', () => {
        for (const piece of pieces) socket.write(piece)
        if (pieces.length % 2 === 0) socket.end()
        else if (pieces.length % 3 === 0) socket.resetAndDestroy()
      })
  })
  fuzzer.listen(0, '127.0.0.1')
  await once(fuzzer, 'listening')
  const url = `http://127.0.0.1:${(fuzzer.address() as net.AddressInfo).port}/`
  const words = [
    'HTTP/1.1 200 OK',
    'HTTP/1.1 100 Continue',
    'HTTP/1.0 304 No',
    'HTTP/1.1 101 Up',
    '\r\n',
    '\r\n\r\n',
  ]
  words.push(
    'content-length: 5',
    'transfer-encoding: chunked',
    'connection: close',
    'upgrade: h2c',
    '0\r\n\r\n',
    '5\r\nhello',
  )
  words.push('connection: upgrade', 'keep-alive: timeout=1', 'retry-after: \xff', '\n', ':', '\0')
  const piece = fc.oneof(
    fc
      .array(fc.constantFrom(...words), { maxLength: 8 })
      .map((some) => Buffer.from(some.join('\r\n'), 'latin1')),
    fc.uint8Array({ maxLength: 50 }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (some) => {
      pieces = some
      const result = await own.post(url, request)
      expect(result.durationMs).toBeLessThan(600)
      expect(['answered', 'failed']).toContain(result.is)
    }),
    { numRuns: 150 },
  )
  await own.close()
  const closed = once(fuzzer, 'close')
  fuzzer.close()
  await waitFor('connections to end', async () => closed.then(() => true))
})
