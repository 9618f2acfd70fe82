// The merchant that calls, and its dashboard's session.
import { createSession, deleteSession, getMerchant, SESSION_COOKIE, streamChanges } from '@sluice/contracts'
import * as core from '@sluice/core'
import { merchantOf } from '../access.ts'
import { contractRoute } from '../contract-route.ts'
import type { ApiDeps, App } from '../deps.ts'
import { openEventStreams } from '../event-streams.ts'

export async function merchantRoutes(app: App, deps: ApiDeps): Promise<void> {
  const route = contractRoute(app, deps)
  const { db, config } = deps
  const cookie = {
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure: new URL(config.publicDashboardUrl).protocol === 'https:',
  } as const

  app.route({
    ...route(getMerchant),
    async handler(request) {
      const profile = await core.findMerchantProfile(db, merchantOf(request).id)
      if (profile === undefined) throw core.notFound('Merchant')
      return profile
    },
  })

  const streams = openEventStreams(
    app,
    core.createChangeWatch(deps, ['payment_log_id_seq', 'webhook_changes']),
  )
  app.route({
    ...route(streamChanges),
    // A stream without a reader would never end.
    exposeHeadRoute: false,
    handler(_request, reply) {
      streams.open(reply)
    },
  })

  app.route({
    ...route(createSession),
    async handler(request, reply) {
      const session = await core.openSession({ db, sandbox: config.sandbox }, request.body)
      if (session === undefined) {
        throw new core.SluiceError('AUTHENTICATION_ERROR', 'The e-mail or the password is wrong')
      }
      const { token, expiresAt, merchant } = session
      reply.setCookie(SESSION_COOKIE, token, { ...cookie, expires: expiresAt })
      reply.header('cache-control', 'no-store')
      return { merchant, expires_at: expiresAt.toISOString() }
    },
  })

  app.route({
    ...route(deleteSession),
    async handler(request, reply) {
      const token = request.cookies[SESSION_COOKIE]
      reply.clearCookie(SESSION_COOKIE, cookie) // from this browser even if the database is away
      if (token !== undefined) await core.endSession(db, token)
      return reply.status(204).send(null)
    },
  })
}
