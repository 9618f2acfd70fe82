// Idempotency keys in HTTP: reads the key from the request, and sends a stored response byte for byte.
import type { KeyedRequest, KeyedResponse } from '@sluice/core'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** The request as its Idempotency-Key counts; undefined without one, or with an empty one. */
export function keyed(request: FastifyRequest): KeyedRequest | undefined {
  const key = request.headers['idempotency-key']
  if (key === undefined || key === '') return undefined
  return { key: String(key), method: request.method, target: [request.routeOptions.url, request.params] }
}

/** Sends a response, new or stored. */
export function sendResponse(reply: FastifyReply, { status, body, replayed }: KeyedResponse) {
  if (replayed) reply.header('idempotent-replayed', 'true')
  return reply.status(status).type('application/json; charset=utf-8').send(body)
}
