// Which headers cross the proxy: those meant for the other end, and ours that say who called.
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'

/** Of one connection only (RFC 9110, 7.6.1). */
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

/** Without those of the connection, and those that its Connection header names. */
export function endToEndHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name) && !named.includes(name)),
  )
}

/**
 * The browser's headers, with our word for where they come from. What the caller says of that himself counts only as
 * far as TRUST_PROXY believes him, which is in `ip`, `host` and `protocol` already.
 */
export function forwardedHeaders(request: FastifyRequest): OutgoingHttpHeaders {
  const { ip, host, protocol } = request
  const isOurs = (name: string) =>
    // Node has answered `Expect` already, and names the API as host.
    name.startsWith('x-forwarded-') || ['forwarded', 'x-real-ip', 'expect', 'host'].includes(name)
  const headers = Object.fromEntries(
    Object.entries(endToEndHeaders(request.headers)).filter(([name]) => !isOurs(name)),
  )
  // Where the body ends must never be lost, not even when Connection names it: what follows would be another request.
  const length = request.headers['content-length']
  if (length !== undefined) headers['content-length'] = length
  if (request.headers['transfer-encoding'] !== undefined) headers['transfer-encoding'] = 'chunked'
  if (ip !== undefined) headers['x-forwarded-for'] = ip
  if (host !== '') headers['x-forwarded-host'] = host
  headers['x-forwarded-proto'] = protocol
  return headers
}
