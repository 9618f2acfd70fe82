// Routes for testers, in the sandbox only.
import { getJobsStatus, getTestMerchant } from '@sluice/contracts'
import * as core from '@sluice/core'
import { contractRoute } from '../contract-route.ts'
import type { ApiDeps, App } from '../deps.ts'

export async function sandboxRoutes(app: App, deps: ApiDeps): Promise<void> {
  const route = contractRoute(app, deps)

  app.route({
    ...route(getTestMerchant),
    async handler() {
      const profile = await core.findMerchantProfile(deps.db, core.SEEDED_MERCHANT_ID)
      if (profile === undefined) throw core.notFound('Merchant')
      const { id, email, api_key } = profile
      return { id, email, api_key, seeded: true as const }
    },
  })

  app.route({
    ...route(getJobsStatus),
    handler: () => core.readJobsStatus(deps, [...core.allWork, core.webhookWork]),
  })
}
