// The API on the pages' own origin, below a prefix.
//
// Paths stay as they were sent, and bodies stream in both directions. It uses node:http: proxy libraries decode and
// normalise paths, but an id such as `..%2f` must arrive unchanged.
import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { pipeline } from 'node:stream'
import { SluiceError } from '@sluice/core/platform'
import { noRoute } from '@sluice/http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ServerDeps } from './deps.ts'
import { endToEndHeaders, forwardedHeaders } from './proxy-headers.ts'

export const API_PREFIX = '/_api'

/** How long the API may be silent before its response begins. */
const RESPONSE_TIMEOUT_MS = 10_000

/** Bodies up to this size are sent at once; larger ones wait for 100 Continue (see sendAfterContinue). */
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

  // The proxy parses no bodies: they stay in the request, unread, and stream on.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _body, done) => done(null))
  app.all(API_PREFIX, proxy)
  app.all(`${API_PREFIX}/*`, proxy)
  // Event streams have no end of their own, so the shutdown ends them.
  app.addHook('preClose', async () => {
    for (const stream of eventStreams) stream.end()
  })
  app.addHook('onClose', async () => agent.destroy())

  function proxy(request: FastifyRequest, reply: FastifyReply): void {
    const browser = reply.raw
    const path = target.pathname.replace(/\/$/, '') + pathBelowPrefix(request)
    const waitsForContinue = hasLargeBody(request)
    const headers = { ...forwardedHeaders(request), ...(waitsForContinue ? { expect: '100-continue' } : {}) }
    const upstream = call(target, {
      agent,
      method: request.method,
      path,
      headers,
      timeout: responseTimeoutMs,
    })

    upstream.once('timeout', () => upstream.destroy(new Error(`No response within ${responseTimeoutMs} ms`)))
    const dropBody = () => request.raw.unpipe(upstream).resume()
    upstream.on('error', (cause) => {
      dropBody()
      if (reply.sent || browser.destroyed) return
      reply.send(
        new SluiceError('SERVICE_UNAVAILABLE', 'The API does not respond right now; try again', { cause }),
      )
    })
    upstream.once('response', (response) => {
      upstream.setTimeout(0)
      if ((response.statusCode ?? 0) >= 400) dropBody() // refused: the API may not read the rest
      reply.hijack()
      passOn(response, reply, eventStreams)
    })
    browser.once('close', () => upstream.destroy())
    if (waitsForContinue) sendAfterContinue(request.raw, upstream)
    else request.raw.pipe(upstream)
  }
}

/** Streams the API's response to the browser. `eventStreams` has the open streams of events. */
function passOn(
  response: IncomingMessage,
  reply: FastifyReply,
  eventStreams: Set<FastifyReply['raw']>,
): void {
  const browser = reply.raw
  const headers = { ...reply.getHeaders(), ...endToEndHeaders(response.headers) }
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) browser.setHeader(name, value)
  if (response.headers['content-type']?.startsWith('text/event-stream')) {
    // The connection ends with the stream.
    browser.setHeader('connection', 'close')
    eventStreams.add(browser)
    browser.once('close', () => eventStreams.delete(browser))
  }
  browser.writeHead(response.statusCode ?? 502, response.statusMessage)
  browser.flushHeaders() // a stream is open before its first event
  pipeline(response, browser, () => {}) // if one side breaks off, the other one does too
}

const hasLargeBody = ({ headers }: FastifyRequest) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > SMALL_BODY_BYTES

/**
 * A server that refuses a body unread (413) closes the connection, and a failed write would lose its response. So it may
 * respond first. A server that never sends "100 Continue" gets the body after a timeout (RFC 9110, 10.1.1).
 */
function sendAfterContinue(body: IncomingMessage, upstream: ClientRequest): void {
  let isOver = false // sent, responded to or broken off
  const send = () => {
    if (!isOver) body.pipe(upstream)
    isOver = true
  }
  const timer = setTimeout(send, CONTINUE_TIMEOUT_MS)
  const end = () => {
    isOver = true
    clearTimeout(timer)
  }
  upstream.once('continue', () => setImmediate(send)) // after a response in the same packet
  upstream.once('response', end)
  upstream.once('close', end)
  upstream.flushHeaders()
}

/** The path and query as they were sent. Another spelling of the prefix, such as `/%5fapi`, does not count. */
function pathBelowPrefix(request: FastifyRequest): string {
  const { url } = request.raw
  if (url === undefined || !/^\/_api(?:[/?]|$)/.test(url)) throw noRoute()
  const rest = url.slice(API_PREFIX.length)
  // URL parsers remove such segments, so their sender attempts path traversal.
  if (/(?:^|\/)(?:\.|%2e){1,2}(?:[/?]|$)/i.test(rest.split('?')[0] ?? '')) {
    throw new SluiceError('BAD_REQUEST_ERROR', 'The path must not have segments that are "." or ".."')
  }
  return rest.startsWith('/') ? rest : `/${rest}`
}
