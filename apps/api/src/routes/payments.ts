// Payments: a payer's attempts to pay an order, their capture and history; and the merchant's numbers.
import {
  capturePayment,
  createPayment,
  createPublicPayment,
  getPayment,
  getPaymentTimeline,
  getPublicPayment,
  getStats,
  listPayments,
} from '@sluice/contracts'
import * as core from '@sluice/core'
import type { FastifyRequest } from 'fastify'
import { merchantOf } from '../access.ts'
import { contractRoute, pageOf } from '../contract-route.ts'
import type { ApiDeps, App } from '../deps.ts'
import { keyed, sendResponse } from '../idempotency.ts'
import { withResponseDeadline } from '../response-deadline.ts'

export async function paymentRoutes(app: App, deps: ApiDeps): Promise<void> {
  addPaymentWrites(app, deps)
  addPaymentReads(app, deps)
}

function addPaymentWrites(app: App, deps: ApiDeps): void {
  const route = contractRoute(app, deps)
  const creating = (request: FastifyRequest) => ({
    db: withResponseDeadline(deps.db, request),
    payments: deps.paymentJobs,
    webhooks: deps.webhookJobs,
    sandbox: deps.config.sandbox,
  })

  app.route({
    ...route(createPayment),
    async handler(request, reply) {
      const { id: merchantId } = merchantOf(request)
      const payment = { merchantId, request: request.body, requestId: request.id, keyed: keyed(request) }
      return sendResponse(reply, await core.createPayment(creating(request), payment))
    },
  })

  app.route({
    ...route(createPublicPayment),
    async handler(request, reply) {
      const payment = {
        merchantId: undefined,
        request: request.body,
        requestId: request.id,
        keyed: keyed(request),
      }
      return sendResponse(reply, await core.createPayment(creating(request), payment))
    },
  })

  app.route({
    ...route(capturePayment),
    async handler(request, reply) {
      const capture = {
        merchantId: merchantOf(request).id,
        paymentId: request.params.payment_id,
        amount: request.body.amount,
        requestId: request.id,
        keyed: keyed(request),
      }
      return sendResponse(
        reply,
        await core.capturePayment({ db: withResponseDeadline(deps.db, request) }, capture),
      )
    },
  })
}

function addPaymentReads(app: App, deps: ApiDeps): void {
  const route = contractRoute(app, deps)

  app.route({
    ...route(listPayments),
    async handler(request) {
      const { query } = request
      return { ...(await core.listPayments(deps.db, merchantOf(request).id, query)), ...pageOf(query) }
    },
  })

  app.route({
    ...route(getPayment),
    async handler(request) {
      const payment = await core.findPayment(deps.db, merchantOf(request).id, request.params.payment_id)
      if (payment === undefined) throw core.notFound('Payment')
      return payment
    },
  })

  app.route({
    ...route(getPublicPayment),
    async handler({ params }) {
      const payment = await core.findPublicPayment(deps.db, params.payment_id)
      if (payment === undefined) throw core.notFound('Payment')
      return payment
    },
  })

  app.route({
    ...route(getPaymentTimeline),
    async handler(request) {
      const { params, query } = request
      const timeline = await core.readTimeline(deps.db, merchantOf(request).id, params.payment_id, query)
      if (timeline === undefined) throw core.notFound('Payment')
      return { ...timeline, ...pageOf(query) }
    },
  })

  app.route({
    ...route(getStats),
    handler: (request) => core.readStats(deps.db, merchantOf(request).id),
  })
}
