// A request that cannot be made durable is answered within a second of its last byte: what asking who calls took, the work
// has less; what a slow line takes to bring the body is not ours.
import type { Database } from '@sluice/core'
import type { FastifyRequest } from 'fastify'

const RESPONSE_WITHIN_MS = 950

/** The database, whose transactions end in time for the request's answer. */
export const inTime = (db: Database, request: FastifyRequest): Database => ({
  ...db,
  atomically: (work) => db.atomically(work, { withinMs: Math.max(0, RESPONSE_WITHIN_MS - spentMs(request)) }),
})

function spentMs({ receivedAtMs, recognisedInMs, bodyAtMs }: FastifyRequest): number {
  const now = performance.now()
  return bodyAtMs === 0 ? now - receivedAtMs : now - bodyAtMs + recognisedInMs
}
