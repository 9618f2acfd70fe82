// Routes of webhooks to merchants: settings, deliveries with their attempts, retries and replays.
import {
  getWebhook,
  listWebhooks,
  putWebhook,
  regenerateWebhookSecret,
  replayWebhooks,
  retryWebhook,
  testWebhook,
} from '@sluice/contracts'
import * as core from '@sluice/core'
import { merchantOf } from '../access.ts'
import { contractRoute, pageOf } from '../contract-route.ts'
import type { ApiDeps, App } from '../deps.ts'
import { withResponseDeadline } from '../response-deadline.ts'

export async function webhookRoutes(app: App, deps: ApiDeps): Promise<void> {
  deliveryRoutes(app, deps)
  settingsRoutes(app, deps)
}

function deliveryRoutes(app: App, deps: ApiDeps): void {
  const route = contractRoute(app, deps)
  const { db, webhookJobs: webhooks } = deps

  app.route({
    ...route(listWebhooks),
    async handler(request) {
      const { query } = request
      return { ...(await core.listWebhooks(db, merchantOf(request).id, query)), ...pageOf(query) }
    },
  })

  app.route({
    ...route(getWebhook),
    async handler(request) {
      const webhook = await core.findWebhook(db, merchantOf(request).id, request.params.webhook_id)
      if (webhook === undefined) throw core.notFound('Webhook')
      return webhook
    },
  })

  app.route({
    ...route(retryWebhook),
    async handler(request) {
      const id = request.params.webhook_id
      await core.retryWebhook({ db: withResponseDeadline(db, request), webhooks }, merchantOf(request).id, id)
      return { id, status: 'pending' as const, message: 'Webhook retry scheduled' }
    },
  })

  app.route({
    ...route(replayWebhooks),
    handler: (request) =>
      core.replayWebhooks(withResponseDeadline(db, request), merchantOf(request).id, request.body),
  })
}

function settingsRoutes(app: App, deps: ApiDeps): void {
  const route = contractRoute(app, deps)
  const { db, webhookJobs: webhooks } = deps

  app.route({
    ...route(putWebhook),
    handler: (request) => core.setWebhookUrl(deps, merchantOf(request).id, request.body.webhook_url),
  })

  app.route({
    ...route(regenerateWebhookSecret),
    // A missing body means the defaults.
    preValidation: async (request) => {
      request.body ??= {}
    },
    handler: (request) =>
      core.regenerateSecret(withResponseDeadline(db, request), merchantOf(request).id, {
        expireOld: request.body.expire_old ?? false,
      }),
  })

  app.route({
    ...route(testWebhook),
    async handler(request) {
      await core.sendTestWebhook(
        { db: withResponseDeadline(db, request), webhooks },
        merchantOf(request).id,
        request.id,
      )
      return { message: 'Test webhook scheduled' }
    },
  })
}
