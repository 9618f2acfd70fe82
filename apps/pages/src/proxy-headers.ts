// Which headers cross the proxy: end-to-end headers, and those that name the client.
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'

/** Headers of one connection only (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** All headers but the hop-by-hop ones and those that the Connection header names. */
export function endToEndHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name) && !named.includes(name)),
  )
}

/**
 * The browser's headers, and the `x-forwarded-*` headers of this proxy. The caller's own `x-forwarded-*` headers count
 * only as far as TRUST_PROXY allows; `ip`, `host` and `protocol` include that already.
 */
export function forwardedHeaders(request: FastifyRequest): OutgoingHttpHeaders {
  const { ip, host, protocol } = request
  const isOurs = (name: string) =>
    // Node has responded to `Expect` already, and sets the API as host.
    name.startsWith('x-forwarded-') || ['forwarded', 'x-real-ip', 'expect', 'host'].includes(name)
  const headers = Object.fromEntries(
    Object.entries(endToEndHeaders(request.headers)).filter(([name]) => !isOurs(name)),
  )
  // The body's length is always passed on, even if Connection names it: otherwise the body's rest would become a request.
  const length = request.headers['content-length']
  if (length !== undefined) headers['content-length'] = length
  if (request.headers['transfer-encoding'] !== undefined) headers['transfer-encoding'] = 'chunked'
  if (ip !== undefined) headers['x-forwarded-for'] = ip
  if (host !== '') headers['x-forwarded-host'] = host
  headers['x-forwarded-proto'] = protocol
  return headers
}
