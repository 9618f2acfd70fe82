// Payment events in, external payments out.
import {
  getExternalPaymentsSummary,
  listExternalPayments,
  listPaymentEvents,
  postPaymentEvent,
  routeSchema,
  streamExternalPayments,
} from '@sluice/contracts'
import * as core from '@sluice/core'
import { inboundAccess, sandboxOnly } from '../access.ts'
import type { ApiDeps, App } from '../app.ts'
import { openEventStreams } from '../event-streams.ts'

export async function paymentEventRoutes(app: App, deps: ApiDeps): Promise<void> {
  const onRequest = sandboxOnly(deps)
  const streams = openEventStreams(app, core.createPaymentsWatch(deps))

  app.route({
    ...postPaymentEvent,
    schema: routeSchema(postPaymentEvent),
    ...inboundAccess(deps),
    async handler(request, reply) {
      const { event_id, payment_id, event, amount, currency, user_id, timestamp } = request.body
      const { outcome, paymentId, status } = await deps.paymentEvents.record({
        event_id,
        payment_id,
        event,
        amount,
        currency,
        user_id,
        timestamp,
        payload: request.rawBody,
        requestId: request.id,
      })
      reply.status(202)
      const answer = { event_id, payment_id: paymentId, status, duplicate: outcome !== 'accepted' }
      return outcome === 'conflict' ? { ...answer, conflict: true } : answer
    },
  })

  app.route({
    ...listExternalPayments,
    schema: routeSchema(listExternalPayments),
    onRequest,
    async handler({ query: { status, limit, offset } }, reply) {
      const [payments, total] = await Promise.all([
        core.listExternalPayments(deps.db, status, { limit, offset }),
        core.countExternalPayments(deps.db, status),
      ])
      reply.header('x-total-count', total)
      return payments
    },
  })

  app.route({
    ...getExternalPaymentsSummary,
    schema: routeSchema(getExternalPaymentsSummary),
    onRequest,
    handler: ({ query: { status } }) => core.summarizeExternalPayments(deps.db, status),
  })

  app.route({
    ...streamExternalPayments,
    schema: routeSchema(streamExternalPayments),
    // A stream that nobody reads would never end.
    exposeHeadRoute: false,
    onRequest,
    handler(_request, reply) {
      streams.open(reply)
    },
  })

  app.route({
    ...listPaymentEvents,
    schema: routeSchema(listPaymentEvents),
    onRequest,
    async handler({ params, query }, reply) {
      const found = await core.findPaymentEvents(deps.db, params.payment_id, query)
      if (found === undefined) throw core.notFound('Payment')
      reply.header('x-total-count', found.total)
      return found.events
    },
  })
}
