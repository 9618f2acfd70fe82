// The API on the pages' own origin, below a prefix. Nothing is kept or changed on the way: paths go on as they were
// sent, and bodies stream in both directions. node:http rather than a proxy library, since those decode and normalise
// paths, and an id such as `..%2f` has to arrive as it is.
import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { pipeline } from 'node:stream'
import { SluiceError } from '@sluice/core/platform'
import { noRoute } from '@sluice/http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ServerDeps } from './deps.ts'
import { endToEndHeaders, forwardedHeaders } from './proxy-headers.ts'

export const API_PREFIX = '/_api'

/** Without a sign of life from the API, until its answer begins. */
const RESPONSE_TIMEOUT_MS = 10_000

/** Bodies up to this size are sent at once; for others the API is asked first (see sendWhenAsked). */
const SMALL_BODY_BYTES = 64 * 1024
const CONTINUE_TIMEOUT_MS = 1000

export async function proxyRoutes(
  app: FastifyInstance,
  { config, responseTimeoutMs = RESPONSE_TIMEOUT_MS }: ServerDeps,
): Promise<void> {
  const target = new URL(config.apiUrl)
  const { Agent, request: call } = target.protocol === 'https:' ? https : http
  const agent = new Agent({ keepAlive: true })
  const eventStreams = new Set<FastifyReply['raw']>()

  // Bodies are none of our business: they stay in the request, unread, and stream on.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _body, done) => done(null))
  app.all(API_PREFIX, proxy)
  app.all(`${API_PREFIX}/*`, proxy)
  // Streams have no end of their own, and nothing may wait for one.
  app.addHook('preClose', async () => {
    for (const stream of eventStreams) stream.end()
  })
  app.addHook('onClose', async () => agent.destroy())

  function proxy(request: FastifyRequest, reply: FastifyReply): void {
    const browser = reply.raw
    const path = target.pathname.replace(/\/$/, '') + pathBelowPrefix(request)
    const asksFirst = hasLargeBody(request)
    const headers = { ...forwardedHeaders(request), ...(asksFirst ? { expect: '100-continue' } : {}) }
    const upstream = call(target, {
      agent,
      method: request.method,
      path,
      headers,
      timeout: responseTimeoutMs,
    })

    upstream.once('timeout', () => upstream.destroy(new Error(`No answer within ${responseTimeoutMs} ms`)))
    const dropBody = () => request.raw.unpipe(upstream).resume()
    upstream.on('error', (cause) => {
      dropBody()
      if (reply.sent || browser.destroyed) return
      reply.send(
        new SluiceError('SERVICE_UNAVAILABLE', 'The API does not answer right now; try again', { cause }),
      )
    })
    upstream.once('response', (answer) => {
      upstream.setTimeout(0)
      if ((answer.statusCode ?? 0) >= 400) dropBody() // refused: the API may not even read the rest
      reply.hijack()
      passOn(answer, reply)
    })
    browser.once('close', () => upstream.destroy())
    if (asksFirst) sendWhenAsked(request.raw, upstream)
    else request.raw.pipe(upstream)
  }

  function passOn(answer: IncomingMessage, reply: FastifyReply): void {
    const browser = reply.raw
    const headers = { ...reply.getHeaders(), ...endToEndHeaders(answer.headers) }
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined) browser.setHeader(name, value)
    if (answer.headers['content-type']?.startsWith('text/event-stream')) {
      // So that nothing of it is left when it ends.
      browser.setHeader('connection', 'close')
      eventStreams.add(browser)
      browser.once('close', () => eventStreams.delete(browser))
    }
    browser.writeHead(answer.statusCode ?? 502, answer.statusMessage)
    browser.flushHeaders() // a stream is open before its first event
    pipeline(answer, browser, () => {}) // whichever side breaks off, the other is told by the same
  }
}

const hasLargeBody = ({ headers }: FastifyRequest) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > SMALL_BODY_BYTES

/**
 * A server that refuses a body unread (413) closes the connection, and the write that meets this would cost us its
 * answer; so it may answer first. One that never says "100 Continue" gets the body all the same (RFC 9110, 10.1.1).
 */
function sendWhenAsked(body: IncomingMessage, upstream: ClientRequest): void {
  let isOver = false // sent, answered or broken off
  const send = () => {
    if (!isOver) body.pipe(upstream)
    isOver = true
  }
  const timer = setTimeout(send, CONTINUE_TIMEOUT_MS)
  const end = () => {
    isOver = true
    clearTimeout(timer)
  }
  upstream.once('continue', () => setImmediate(send)) // behind an answer that came in the same packet
  upstream.once('response', end)
  upstream.once('close', end)
  upstream.flushHeaders()
}

/** The path and query as they were sent. A prefix that is spelt otherwise (`/%5fapi`) is none. */
function pathBelowPrefix(request: FastifyRequest): string {
  const { url } = request.raw
  if (url === undefined || !/^\/_api(?:[/?]|$)/.test(url)) throw noRoute()
  const rest = url.slice(API_PREFIX.length)
  // No URL parser leaves such a segment, so whoever sends one wants a path that something on the way resolves.
  if (/(?:^|\/)(?:\.|%2e){1,2}(?:[/?]|$)/i.test(rest.split('?')[0] ?? '')) {
    throw new SluiceError('BAD_REQUEST_ERROR', 'The path must not have segments that are "." or ".."')
  }
  return rest.startsWith('/') ? rest : `/${rest}`
}
