// Refunds of payments.
import { createRefund, getRefund, listRefunds } from '@sluice/contracts'
import * as core from '@sluice/core'
import type { FastifyRequest } from 'fastify'
import { merchantOf } from '../access.ts'
import { contractRoute, pageOf } from '../contract-route.ts'
import type { ApiDeps, App } from '../deps.ts'
import { keyed, sendResponse } from '../idempotency.ts'
import { withResponseDeadline } from '../response-deadline.ts'

export async function refundRoutes(app: App, deps: ApiDeps): Promise<void> {
  const route = contractRoute(app, deps)
  const creating = (request: FastifyRequest) => ({
    db: withResponseDeadline(deps.db, request),
    refunds: deps.refundJobs,
    webhooks: deps.webhookJobs,
  })

  app.route({
    ...route(createRefund),
    async handler(request, reply) {
      const refund = {
        merchantId: merchantOf(request).id,
        paymentId: request.params.payment_id,
        request: request.body,
        requestId: request.id,
        keyed: keyed(request),
      }
      return sendResponse(reply, await core.createRefund(creating(request), refund))
    },
  })

  app.route({
    ...route(listRefunds),
    async handler(request) {
      const { params, query } = request
      const refunds = await core.listRefunds(deps.db, merchantOf(request).id, params.payment_id, query)
      if (refunds === undefined) throw core.notFound('Payment')
      return { ...refunds, ...pageOf(query) }
    },
  })

  app.route({
    ...route(getRefund),
    async handler(request) {
      const refund = await core.findRefund(deps.db, merchantOf(request).id, request.params.refund_id)
      if (refund === undefined) throw core.notFound('Refund')
      return refund
    },
  })
}
