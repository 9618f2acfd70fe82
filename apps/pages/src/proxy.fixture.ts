// For tests of the proxy: a page server in front of a listener that replaces the API.
import type { RequestListener, ServerResponse } from 'node:http'
import { expect, onTestFinished } from 'vitest'
import { type Pages, startPages, startUpstream } from './pages.fixture.ts'

/** Starts a page server in front of a listener of the test, which replaces the API; both end with the test. */
export async function startProxy(
  listener: RequestListener,
  options: Parameters<typeof startPages>[0] = {},
): Promise<Pages> {
  const upstream = await startUpstream(listener)
  onTestFinished(upstream.close)
  const pages = await startPages({ apiUrl: upstream.url, ...options })
  onTestFinished(pages.close)
  return pages
}

/** An open stream of events, through a page server with a short time limit for responses. */
export async function openStream() {
  let api: ServerResponse | undefined
  const pages = await startProxy(
    (_request, response) => {
      api = response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
      response.flushHeaders()
    },
    { responseTimeoutMs: 300 },
  )
  const response = await fetch(`${pages.url}/_api/payments/stream`)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  return { pages, response, reader, api: api! }
}

/** The response is the 503 of a page server whose API does not respond. */
export async function expectUnavailable(response: Response): Promise<void> {
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('1')
  expect(await response.json()).toEqual({
    error: { code: 'SERVICE_UNAVAILABLE', description: expect.any(String), request_id: expect.any(String) },
  })
}
