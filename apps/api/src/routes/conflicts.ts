// Conflicts, for operators.
import { listConflicts } from '@sluice/contracts'
import * as core from '@sluice/core'
import { viewerOf } from '../access.ts'
import { contractRoute, pageOf } from '../contract-route.ts'
import type { ApiDeps, App } from '../deps.ts'

export async function conflictRoutes(app: App, deps: ApiDeps): Promise<void> {
  const route = contractRoute(app, deps)

  app.route({
    ...route(listConflicts),
    async handler(request) {
      const { query } = request
      const viewer = viewerOf(request)
      const externalPayments = await deps.externalPaymentsOwner.isVisibleTo(viewer)
      const scope = viewer === 'sandbox' ? 'all' : { merchantId: viewer.id, externalPayments }
      return { ...(await core.listConflicts(deps.db, query, scope)), ...pageOf(query) }
    },
  })
}
