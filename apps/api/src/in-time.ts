// A request that cannot be made durable is answered within a second: what asking who calls took, the work has less.
import type { Database } from '@sluice/core'
import type { FastifyRequest } from 'fastify'

const ANSWER_WITHIN_MS = 950

/** The database, whose transactions end in time for the request's answer. */
export const inTime = (db: Database, { receivedAtMs }: FastifyRequest): Database => ({
  ...db,
  atomically: (work) =>
    db.atomically(work, { withinMs: Math.max(0, ANSWER_WITHIN_MS - (performance.now() - receivedAtMs)) }),
})
