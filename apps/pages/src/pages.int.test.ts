// The responses of the page server itself: files, pages, headers and errors.
import { type ErrorBody, errorStatus } from '@sluice/contracts'
import { StartupError } from '@sluice/core/platform'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Pages, SCRIPT, sendRaw, startPages } from './pages.fixture.ts'

let pages: Pages
beforeAll(async () => {
  pages = await startPages({ publicApiUrl: 'https://api.example/?a="<b>"&c=\'d\'' })
})
afterAll(() => pages?.close())

const get = (path: string, headers: Record<string, string> = {}) => fetch(pages.url + path, { headers })

async function expectError(response: Response, code: keyof typeof errorStatus): Promise<void> {
  expect(response.status).toBe(errorStatus[code])
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
  const body = (await response.json()) as ErrorBody
  expect(body).toEqual({ error: { code, description: expect.any(String), request_id: expect.any(String) } })
}

describe('files', () => {
  test('browsers may cache hashed files for ever', async () => {
    const response = await get('/assets/main-abc123.js')
    expect(await response.text()).toBe(SCRIPT)
    expect(response.headers.get('content-type')).toMatch(/javascript/)
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  })

  test('browsers revalidate other files by ETag', async () => {
    const response = await get('/robots.txt')
    expect(response.headers.get('cache-control')).toBe('no-cache')
    const etag = response.headers.get('etag')!
    // Not by fetch, which adds `cache-control: no-cache` to such a request.
    expect(await sendRaw(pages.url, 'GET /robots.txt', [`If-None-Match: ${etag}`])).toMatch(
      /^HTTP\/1\.1 304 /,
    )
  })

  test('a missing hashed file is 404, never a page that browsers would cache for ever', async () => {
    await expectError(await get('/assets/main-old.js', { accept: '*/*' }), 'NOT_FOUND_ERROR')
    await expectError(await get('/assets/'), 'NOT_FOUND_ERROR')
  })

  test('without a favicon the response is empty, not an error', async () => {
    expect((await get('/favicon.ico')).status).toBe(204)
  })

  test('hidden files are not served', async () => {
    expect(await (await get('/.stamp')).text()).not.toContain('hidden')
  })
})

describe('pages', () => {
  test.each(['/', '/index.html', '/payments', '/dashboard/webhooks?x=1', '/payments/a%2Fb%2F%2Fc', '/x.y'])(
    '%s is index.html',
    async (path) => {
      const response = await get(path, { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' })
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
      expect(response.headers.get('cache-control')).toBe('no-cache')
      expect(await response.text()).toBe(
        '<html data-api="https://api.example/?a=&quot;&lt;b&gt;&quot;&amp;c=&#39;d&#39;"></html>',
      )
    },
  )

  test('an unchanged index.html is 304', async () => {
    const etag = (await get('/payments')).headers.get('etag')!
    expect((await get('/payments', { 'if-none-match': `W/"x", ${etag}` })).status).toBe(304)
    expect((await get('/payments', { 'if-none-match': '"x"' })).status).toBe(200)
  })

  test('HEAD is GET without the body', async () => {
    const response = await fetch(`${pages.url}/payments`, { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  test('a request that does not accept HTML gets no page', async () => {
    await expectError(await get('/payments', { accept: 'application/json' }), 'NOT_FOUND_ERROR')
    await expectError(await get('/logo.png', { accept: 'image/*' }), 'NOT_FOUND_ERROR')
  })

  test.each(['POST', 'PUT', 'DELETE', 'PROPFIND'])('%s of a page is 404', async (method) => {
    await expectError(await fetch(`${pages.url}/payments`, { method }), 'NOT_FOUND_ERROR')
  })

  test('every page has the security headers', async () => {
    for (const path of ['/payments', '/assets/main-abc123.js', '/assets/none.js', '/live']) {
      const { headers } = await get(path)
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
      )
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('same-origin')
      expect(headers.get('x-frame-options')).toBe('DENY')
    }
  })

  test('an app that may be framed names the allowed origins', async () => {
    const framed = await startPages({ frameAncestors: '*' })
    const { headers } = await fetch(framed.url)
    expect(headers.get('content-security-policy')).toContain('frame-ancestors *;')
    expect(headers.get('x-frame-options')).toBeNull()
    await framed.close()
  })
})

test.each([
  '/../secret.txt',
  '/..%2fsecret.txt',
  '/%2e%2e/secret.txt',
  '/%2e%2e%2fsecret.txt',
  '/assets/..%2f..%2fsecret.txt',
  '/assets/../../secret.txt',
  '/..%5csecret.txt',
  '/robots.txt%00',
  '/%00',
  '/%',
  '/%zz',
  '/%ff',
])('%s is refused', async (path) => {
  const response = await sendRaw(pages.url, `GET ${path}`)
  expect(response).toMatch(/^HTTP\/1\.1 400 /)
  expect(response).toMatch(
    /\r\n\r\n\{"error":\{"code":"BAD_REQUEST_ERROR","description":"[^"]+","request_id":"[^"]+"\}\}$/,
  )
})

test.each([
  ['a request that is not HTTP', 'GET'],
  ['an unknown expectation', 'GET / HTTP/1.1\r\nExpect: miracles\r\nX: '],
])('%s gets the common error body', async (_name, head) => {
  const response = await sendRaw(pages.url, head)
  expect(response).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\n\{"error":\{"code":"BAD_REQUEST_ERROR"/)
})

describe('operation', () => {
  test('the metrics count responses', async () => {
    const counted = async () => {
      const text = await (await get('/metrics')).text()
      const lines = text
        .split('\n')
        .filter((line) => /_count\{method="GET",route="\/robots\.txt",status="200"/.test(line))
      return lines.map((line) => Number(line.split(' ').at(-1)))
    }
    const [before = 0] = await counted()
    for (let n = 0; n < 3; n++) await get('/robots.txt')
    expect(await counted()).toEqual([before + 3])
  })

  test('without built pages the error names the command that builds them', async () => {
    await expect(startPages({ folder: '/nowhere' })).rejects.toThrow(StartupError)
  })
})
