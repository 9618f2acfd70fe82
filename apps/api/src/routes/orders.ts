// Orders: what is to be paid.
import { createOrder, getOrder, getPublicOrder, listOrders } from '@sluice/contracts'
import * as core from '@sluice/core'
import { merchantOf } from '../access.ts'
import { contractRoute, pageOf } from '../contract-route.ts'
import type { ApiDeps, App } from '../deps.ts'
import { keyed, sendResponse } from '../idempotency.ts'
import { withResponseDeadline } from '../response-deadline.ts'

export async function orderRoutes(app: App, deps: ApiDeps): Promise<void> {
  const route = contractRoute(app, deps)

  app.route({
    ...route(createOrder),
    async handler(request, reply) {
      const { id: merchantId } = merchantOf(request)
      const order = { merchantId, order: request.body, keyed: keyed(request) }
      return sendResponse(
        reply,
        await core.createOrder({ db: withResponseDeadline(deps.db, request) }, order),
      )
    },
  })

  app.route({
    ...route(listOrders),
    async handler(request) {
      const { query } = request
      return { ...(await core.listOrders(deps.db, merchantOf(request).id, query)), ...pageOf(query) }
    },
  })

  app.route({
    ...route(getOrder),
    async handler(request) {
      const order = await core.findOrder(deps.db, merchantOf(request).id, request.params.order_id)
      if (order === undefined) throw core.notFound('Order')
      return order
    },
  })

  app.route({
    ...route(getPublicOrder),
    async handler({ params }) {
      const order = await core.findPublicOrder(deps.db, params.order_id)
      if (order === undefined) throw core.notFound('Order')
      return order
    },
  })
}
