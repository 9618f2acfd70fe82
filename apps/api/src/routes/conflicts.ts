// Conflicts, for operators.
import { listConflicts, routeSchema } from '@sluice/contracts'
import * as core from '@sluice/core'
import { sandboxOnly } from '../access.ts'
import type { ApiDeps, App } from '../app.ts'

export async function conflictRoutes(app: App, deps: ApiDeps): Promise<void> {
  app.route({
    ...listConflicts,
    schema: routeSchema(listConflicts),
    onRequest: sandboxOnly(deps),
    async handler({ query: { limit, offset } }) {
      return { ...(await core.listConflicts(deps.db, { limit, offset })), limit, offset }
    },
  })
}
