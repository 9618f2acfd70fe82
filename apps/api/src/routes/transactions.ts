// Transactions in and out.
import { getTransaction, listTransactions, postTransaction, routeSchema } from '@sluice/contracts'
import * as core from '@sluice/core'
import { inboundAccess, viewerOf } from '../access.ts'
import { contractRoute, pageOf } from '../contract-route.ts'
import type { ApiDeps, App } from '../deps.ts'

export async function transactionRoutes(app: App, deps: ApiDeps): Promise<void> {
  const route = contractRoute(app, deps)

  app.route({
    ...postTransaction,
    schema: routeSchema(postTransaction),
    ...inboundAccess(deps),
    async handler(request, reply) {
      const { transaction_id, source_account, destination_account, amount, currency } = request.body
      const outcome = await deps.transactions.record({
        transaction_id,
        source_account,
        destination_account,
        amount,
        currency,
        payload: request.rawBody,
        requestId: request.id,
      })
      reply.status(202)
      const accepted = { message: 'Accepted' as const, transaction_id }
      switch (outcome) {
        case 'accepted':
          return accepted
        case 'duplicate':
          return { ...accepted, duplicate: true }
        case 'conflict':
          return { ...accepted, duplicate: true, conflict: true }
      }
    },
  })

  app.route({
    ...route(getTransaction),
    async handler(request) {
      const transaction = await core.findTransaction(
        deps.db,
        request.params.transaction_id,
        viewerOf(request),
      )
      if (transaction === undefined) throw core.notFound('Transaction')
      return transaction
    },
  })

  app.route({
    ...route(listTransactions),
    async handler(request) {
      const { query } = request
      return { ...(await core.listTransactions(deps.db, query, viewerOf(request))), ...pageOf(query) }
    },
  })
}
