// The deadline of a response: a request that cannot be made durable gets its 503 within a second of its last byte.
import type { Database } from '@sluice/core'
import type { FastifyRequest } from 'fastify'

const RESPONSE_WITHIN_MS = 950

/**
 * The database, with transactions that end before the response is due. The time that authentication took counts; the
 * time that a slow connection took to send the body does not.
 */
export const withResponseDeadline = (db: Database, request: FastifyRequest): Database => ({
  ...db,
  atomically: (work) => db.atomically(work, { withinMs: Math.max(0, RESPONSE_WITHIN_MS - spentMs(request)) }),
})

function spentMs({ receivedAtMs, authenticatedInMs, bodyAtMs }: FastifyRequest): number {
  const now = performance.now()
  return bodyAtMs === 0 ? now - receivedAtMs : now - bodyAtMs + authenticatedInMs
}
