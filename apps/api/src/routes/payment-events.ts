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
import type { FastifyRequest } from 'fastify'
import { inboundAccess, viewerOf } from '../access.ts'
import { contractRoute } from '../contract-route.ts'
import type { ApiDeps, App } from '../deps.ts'
import { openEventStreams } from '../event-streams.ts'

export async function paymentEventRoutes(app: App, deps: ApiDeps): Promise<void> {
  addPaymentEventInbound(app, deps)
  addExternalPaymentReads(app, deps)
}

function addPaymentEventInbound(app: App, deps: ApiDeps): void {
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
      const response = { event_id, payment_id: paymentId, status, duplicate: outcome !== 'accepted' }
      return outcome === 'conflict' ? { ...response, conflict: true } : response
    },
  })
}

function addExternalPaymentReads(app: App, deps: ApiDeps): void {
  const route = contractRoute(app, deps)
  /** For a viewer who may not see external payments they do not exist. */
  const sees = (request: FastifyRequest) => deps.externalPaymentsOwner.isVisibleTo(viewerOf(request))
  const streams = openEventStreams(app, core.createChangeWatch(deps, ['external_payment_changes']))

  app.route({
    ...route(listExternalPayments),
    async handler(request, reply) {
      const { status, limit, offset } = request.query
      const [payments, total] = (await sees(request))
        ? await Promise.all([
            core.listExternalPayments(deps.db, status, { limit, offset }),
            core.countExternalPayments(deps.db, status),
          ])
        : [[], 0]
      reply.header('x-total-count', total)
      return payments
    },
  })

  app.route({
    ...route(getExternalPaymentsSummary),
    async handler(request) {
      if (!(await sees(request))) return core.noExternalPayments
      return core.summarizeExternalPayments(deps.db, request.query.status)
    },
  })

  app.route({
    ...route(streamExternalPayments),
    // A stream without a reader would never end.
    exposeHeadRoute: false,
    async handler(request, reply) {
      if (await sees(request)) streams.open(reply)
      else streams.openSilent(reply)
      return reply
    },
  })

  app.route({
    ...route(listPaymentEvents),
    async handler(request, reply) {
      const { params, query } = request
      const found = (await sees(request))
        ? await core.findPaymentEvents(deps.db, params.payment_id, query)
        : undefined
      if (found === undefined) throw core.notFound('Payment')
      reply.header('x-total-count', found.total)
      return found.events
    },
  })
}
