// The API behind the page server: requests and responses pass unchanged.
import { once } from 'node:events'
import http, { type IncomingMessage, type RequestListener } from 'node:http'
import net from 'node:net'
import { createClient, getTransaction, postTransaction } from '@sluice/contracts'
import { startSystem, transactionBody, waitFor } from '@sluice/testing'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { type Pages, sendRaw, startPages, startUpstream } from './pages.fixture.ts'
import { expectUnavailable, openStream, startProxy } from './proxy.fixture.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp()
})

/** Responds with the request: method, URL, headers and body. */
const mirror: RequestListener = (request, response) => {
  const { method, url, headers } = request
  let body = ''
  request.setEncoding('utf8').on('data', (chunk) => {
    body += chunk
  })
  request.on('end', () => response.end(JSON.stringify({ method, url, headers, body })))
}
const mirrored = (response: string) =>
  JSON.parse(response.slice(response.indexOf('{"method"')).replace(/\}\r\n0[\s\S]*$/, '}'))

describe('requests', () => {
  test.each([
    '/payments?x=1&x=%20+%2B',
    '/',
    '/payments/a%2Fb%2f%25%3F%23/events?y=/../',
    '/payments/..%2fid',
    '/payments/..%2f..%2fx..',
    '/payments/%F0%9F%92%B8%00',
    '//double//slash',
    "/it's(all)*right!~:@$,;=[]|^`{}",
    `/payments/${'%F0%9F%92%B8'.repeat(100)}/events`,
  ])('%s arrives as it was sent', async (path) => {
    const pages = await startProxy(mirror)
    expect(mirrored(await sendRaw(pages.url, `GET /_api${path}`))).toMatchObject({ method: 'GET', url: path })
  })

  test('the path of API_URL is the prefix of every path', async () => {
    const upstream = await startUpstream(mirror)
    cleanups.push(upstream.close)
    const pages = await startPages({ apiUrl: `${upstream.url}/base/` })
    cleanups.push(pages.close)
    expect(await (await fetch(`${pages.url}/_api/payments?x=1`)).json()).toMatchObject({
      url: '/base/payments?x=1',
    })
    expect(await (await fetch(`${pages.url}/_api?x=1`)).json()).toMatchObject({ url: '/base/?x=1' })
  })

  test.each(['/_api/../admin', '/_api/a/%2E./b', '/_api/.', '/_api/%zz'])('%s is refused', async (path) => {
    const pages = await startProxy(mirror)
    expect(await sendRaw(pages.url, `GET ${path}`)).toMatch(
      /^HTTP\/1\.1 400 [\s\S]*\{"error":\{"code":"BAD_REQ/,
    )
  })

  test('the prefix has one spelling', async () => {
    const pages = await startProxy(mirror)
    expect(await sendRaw(pages.url, 'GET /%5fapi/payments')).toMatch(/^HTTP\/1\.1 404 [\s\S]*NOT_FOUND_ERROR/)
  })

  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    '%s keeps its body of any type',
    async (method) => {
      const pages = await startProxy(mirror)
      for (const type of ['application/json', 'text/plain;charset=UTF-8', 'application/x-unknown']) {
        const body = '{"a": 1,   "a": "€"}'
        const response = await fetch(`${pages.url}/_api/x`, {
          method,
          headers: { 'content-type': type },
          body,
        })
        expect(await response.json()).toMatchObject({ method, body, headers: { 'content-type': type } })
      }
    },
  )

  test('a POST without a body keeps an empty body', async () => {
    const pages = await startProxy(mirror)
    const response = await fetch(`${pages.url}/_api/x`, { method: 'POST' })
    expect(await response.json()).toMatchObject({
      method: 'POST',
      body: '',
      headers: { 'content-length': '0' },
    })
  })

  test('a body is never read as another request', async () => {
    const requests: string[] = []
    const pages = await startProxy((request, response) => {
      requests.push(`${request.method} ${request.url}`)
      request.resume().on('end', () => response.end())
    })
    const smuggled = 'GET /admin HTTP/1.1\r\nHost: x\r\n\r\n'
    const length = `Content-Length: ${smuggled.length}`
    await sendRaw(pages.url, 'GET /_api/x', [length, '', smuggled])
    await sendRaw(pages.url, 'GET /_api/x', [length, 'Connection: content-length', '', smuggled])
    await sendRaw(pages.url, 'DELETE /_api/x', [
      'Transfer-Encoding: chunked',
      'Connection: transfer-encoding',
      '',
      `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    ])
    expect(requests).toEqual(['GET /x', 'GET /x', 'DELETE /x'])
  })

  test('a large body streams on before it is complete', async () => {
    let received = 0
    const pages = await startProxy((request, response) => {
      request.on('data', (chunk) => {
        received += chunk.length
      })
      request.on('end', () => response.end())
    })
    const request = http.request(`${pages.url}/_api/x`, { method: 'POST' })
    const responded = once(request, 'response')
    request.write(Buffer.alloc(3 * 2 ** 20))
    await waitFor('the first part', () => received === 3 * 2 ** 20)
    request.end('end')
    const [response] = (await responded) as [IncomingMessage]
    response.resume()
    expect([response.statusCode, received]).toEqual([200, 3 * 2 ** 20 + 3])
  })

  test('a response before the end of the body arrives', async () => {
    const pages = await startProxy((_request, response) => {
      response.writeHead(413, { connection: 'close' }).end('too large') // without reading the body, as Fastify does
    })
    for (let i = 0; i < 20; i++) {
      const response = await fetch(`${pages.url}/_api/x`, { method: 'POST', body: Buffer.alloc(8 * 2 ** 20) })
      expect([response.status, await response.text()]).toEqual([413, 'too large'])
    }
  })

  test('an API that never sends 100 Continue gets a large body too', async () => {
    const upstream = net.createServer((socket) => {
      let received = 0
      socket.on('data', (chunk) => {
        received += chunk.length
        if (received > 2 ** 20) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      })
    })
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    cleanups.push(async () => void upstream.close())
    const { port } = upstream.address() as net.AddressInfo
    const pages = await startPages({ apiUrl: `http://127.0.0.1:${port}` })
    cleanups.push(pages.close)
    const response = await fetch(`${pages.url}/_api/x`, { method: 'POST', body: Buffer.alloc(2 ** 20) })
    expect(await response.text()).toBe('ok')
  })

  test('hop-by-hop headers are not passed on', async () => {
    const pages = await startProxy(mirror)
    const response = await sendRaw(pages.url, 'GET /_api/x', [
      'Connection: x-mine',
      'X-Mine: 1',
      'TE: trailers',
      'Upgrade: websocket',
      'Keep-Alive: timeout=5',
      'Proxy-Authorization: Basic abc',
      'X-Kept: yes',
      'Cookie: a=b',
    ])
    const { headers } = mirrored(response)
    expect(headers).toMatchObject({ 'x-kept': 'yes', cookie: 'a=b' })
    for (const name of ['x-mine', 'te', 'upgrade', 'keep-alive', 'proxy-authorization']) {
      expect(headers).not.toHaveProperty(name)
    }
  })
})

describe("the caller's address", () => {
  const spoofed = {
    'x-forwarded-for': '203.0.113.9, 198.51.100.7',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    'x-forwarded-port': '443',
    forwarded: 'for=203.0.113.9',
    'x-real-ip': '203.0.113.9',
  }
  const forwardedHeaders = async (pages: Pages) => {
    const response = await fetch(`${pages.url}/_api/x`, { headers: spoofed })
    const { headers } = (await response.json()) as { headers: object }
    return Object.fromEntries(Object.entries(headers).filter(([name]) => name in spoofed))
  }

  test('is the address of the connection, even if the caller sends forwarded headers', async () => {
    const pages = await startProxy(mirror)
    expect(await forwardedHeaders(pages)).toEqual({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': new URL(pages.url).host,
      'x-forwarded-proto': 'http',
    })
  })

  test('is the address that a trusted proxy forwards', async () => {
    const pages = await startProxy(mirror, { trustProxy: ['127.0.0.0/8'] })
    expect(await forwardedHeaders(pages)).toEqual({
      'x-forwarded-for': '198.51.100.7',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
    })
  })

  test('is the address of the connection if only other proxies are trusted', async () => {
    const pages = await startProxy(mirror, { trustProxy: ['10.0.0.0/8'] })
    expect(await forwardedHeaders(pages)).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
    })
  })
})

describe('responses', () => {
  test('status, headers and body stay unchanged; missing security headers are added', async () => {
    const pages = await startProxy((_request, response) => {
      response.writeHead(
        418,
        'I am a teapot',
        [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
          ['content-type', 'text/plain'],
          ['content-security-policy', "default-src 'none'"],
          ['connection', 'x-hop'],
          ['x-hop', '1'],
          ['x-total-count', '3'],
        ].flat(),
      )
      response.end('short and stout')
    })
    const response = await fetch(`${pages.url}/_api/x`)
    expect([response.status, response.statusText, await response.text()]).toEqual([
      418,
      'I am a teapot',
      'short and stout',
    ])
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/plain',
      'content-security-policy': "default-src 'none'",
      'x-total-count': '3',
      'x-content-type-options': 'nosniff',
    })
    expect(response.headers.has('x-hop')).toBe(false)
  })

  test('HEAD, 204 and 304 have no body', async () => {
    const pages = await startProxy((request, response) => {
      response.writeHead(
        request.url === '/head' ? 200 : Number(request.url?.slice(1)),
        request.url === '/head' ? { 'content-length': '10' } : {},
      )
      response.end()
    })
    const head = await fetch(`${pages.url}/_api/head`, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '10'])
    for (const status of [204, 304]) expect((await fetch(`${pages.url}/_api/${status}`)).status).toBe(status)
  })

  test('a response that breaks off at the API breaks off at the browser too', async () => {
    const pages = await startProxy((_request, response) => {
      response.writeHead(200).write('half of')
      setImmediate(() => response.destroy())
    })
    const broken = fetch(`${pages.url}/_api/x`).then((response) => response.text())
    await expect(broken).rejects.toThrow()
  })

  test.each(['before', 'during'])(
    'a browser that disconnects %s the response ends the request at the API',
    async (when) => {
      let closed = false
      let arrived = false
      const pages = await startProxy((_request, response) => {
        arrived = true
        if (when === 'during') response.writeHead(200).write('first')
        response.once('close', () => {
          closed = true
        })
      })
      const disconnect = new AbortController()
      const requested = fetch(`${pages.url}/_api/x`, { signal: disconnect.signal }).catch(() => {})
      await waitFor('the request', () => arrived)
      if (when === 'during') await requested
      disconnect.abort()
      await waitFor('the end of the request', () => closed)
    },
  )
})

describe('event streams', () => {
  test('open before their first event, pass each event on at once, and have no time limit', async () => {
    const { response, reader, api } = await openStream()
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    for (const event of ['event: change\ndata:\n\n', ': keep\n\n']) {
      api.write(event)
      expect((await reader.read()).value).toBe(event)
      await new Promise((resolve) => setTimeout(resolve, 500)) // longer than the time limit of a response
    }
    api.end()
    expect((await reader.read()).done).toBe(true)
  })
})

describe('without the API', () => {
  test('an API that closes the connection is 503, and the next request reaches it again', async () => {
    let hangsUp = true
    const pages = await startProxy((request, response) => {
      if (hangsUp) request.socket.destroy()
      else response.end('back')
    })
    await expectUnavailable(await fetch(`${pages.url}/_api/payments`))
    hangsUp = false
    expect(await (await fetch(`${pages.url}/_api/payments`)).text()).toBe('back')
  })
})

test('the real API works behind the proxy, with ids of any kind and its own errors', async () => {
  const system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
  cleanups.push(system.stop)
  const pages = await startPages({ apiUrl: system.api.url })
  cleanups.push(pages.close)
  const call = (route: string, init?: RequestInit) => fetch(`${pages.url}/_api${route}`, init)
  const direct = createClient(system.api.url)

  for (const transaction_id of ['..%2fid', '../../x', 'a/b c%25', '💸', '__proto__']) {
    const body = { ...transactionBody(transaction_id), transaction_id }
    const posted = await call(postTransaction.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(posted.status).toBe(202)
    const read = await call(`/v1/transactions/${encodeURIComponent(transaction_id)}`)
    expect([read.status, await read.json()]).toEqual([
      200,
      (await direct(getTransaction, { params: { transaction_id } })).body,
    ])
  }
  for (let n = 0; n < 30; n++) {
    const tooLarge = await call(postTransaction.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.alloc(2 ** 20 + 1 + n * 50_000, ' '),
    })
    expect([tooLarge.status, await tooLarge.json()]).toMatchObject([
      413,
      { error: { code: 'PAYLOAD_TOO_LARGE' } },
    ])
  }
  expect(await (await call('/nowhere')).json()).toMatchObject({ error: { code: 'NOT_FOUND_ERROR' } })
})
