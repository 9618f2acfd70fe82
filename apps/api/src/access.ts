// Authentication and access: processors by signature, merchants by key or session.
import cookie from '@fastify/cookie'
import { type RouteContract, SESSION_COOKIE } from '@sluice/contracts'
import * as core from '@sluice/core'
import { createSignatureCheck, type Merchant, SluiceError, type Viewer } from '@sluice/core'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ApiDeps, App } from './deps.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Checks the body's signature before the body is parsed; throws if it is wrong. */
    verifyBody?: (request: FastifyRequest, body: Buffer) => void
  }
  interface FastifyRequest {
    /** Null on routes without authentication. */
    caller: Viewer | null
    /** How long authentication took. */
    authenticatedInMs: number
  }
}

type AccessDeps = Pick<ApiDeps, 'config' | 'db'>

export async function authenticateCallers(app: App): Promise<void> {
  app.decorateRequest('caller', null)
  app.decorateRequest('authenticatedInMs', 0)
  await app.register(cookie)
}

/** The onRequest hooks that enforce the contract's `access`. */
export function accessHooks(deps: AccessDeps, access: RouteContract['access']) {
  if (access === undefined) return []
  if (access === 'login') return [refuseForeignPages(deps)]
  const isOpen = access === 'sandbox' && deps.config.sandbox
  return [
    async (request: FastifyRequest, reply: FastifyReply) => {
      request.caller = isOpen ? 'sandbox' : await authenticate(deps, request)
      request.authenticatedInMs = performance.now() - request.receivedAtMs
      if (!isOpen) reply.header('cache-control', 'no-store')
    },
  ]
}

/** The merchant that calls; only for routes whose contract has `access: 'merchant'`. */
export function merchantOf(request: FastifyRequest): Merchant {
  if (request.caller === null || request.caller === 'sandbox')
    throw new Error('the route is open to unauthenticated callers')
  return request.caller
}

/** The caller that reads; only for routes whose contract has `access: 'sandbox'`. */
export function viewerOf(request: FastifyRequest): Viewer {
  if (request.caller === null) throw new Error('the route does not authenticate its callers')
  return request.caller
}

const invalidCredentials = () => new SluiceError('AUTHENTICATION_ERROR', 'Invalid API credentials')

/** Authenticates by key and secret, or else by the dashboard's session. */
async function authenticate({ config, db }: AccessDeps, request: FastifyRequest): Promise<Merchant> {
  const { 'x-api-key': key, 'x-api-secret': secret } = request.headers
  if (key !== undefined || secret !== undefined) {
    const merchant = await core.authenticateByKey(db, String(key ?? ''), String(secret ?? ''))
    if (merchant === undefined || core.isSandboxSecret(config, String(secret))) throw invalidCredentials()
    return merchant
  }
  const token = request.cookies[SESSION_COOKIE]
  if (token === undefined) throw invalidCredentials()
  // Browsers send cookies with the requests of every page; only the Origin header names the page.
  if (!isRead(request) && !isDashboard(config, request)) {
    const problem = "A write with the dashboard's session needs the dashboard's Origin header"
    throw new SluiceError('AUTHENTICATION_ERROR', problem)
  }
  const merchant = await core.findSession({ db, sandbox: config.sandbox }, token)
  if (merchant === undefined) throw invalidCredentials()
  return merchant
}

const isRead = ({ method }: FastifyRequest) => method === 'GET' || method === 'HEAD'

/** Whether a page of the dashboard makes the call. In the sandbox the dashboard may be open under any host name. */
function isDashboard(config: ApiDeps['config'], request: FastifyRequest): boolean {
  const { origin, host, 'x-forwarded-host': forwardedHost } = request.headers
  if (origin === undefined || !URL.canParse(origin)) return false
  if (origin === new URL(config.publicDashboardUrl).origin) return true
  // Cookies ignore ports, so another page of this machine sends them too; it cannot also send the dashboard's Host.
  return config.sandbox && new URL(origin).host === String(forwardedHost ?? host)
}

/** Foreign pages must not log their visitors in or out; programs, which have no Origin, may log in. */
const refuseForeignPages =
  ({ config }: Pick<ApiDeps, 'config'>) =>
  async (request: FastifyRequest): Promise<void> => {
    const endsSession = request.method === 'DELETE' && request.cookies[SESSION_COOKIE] !== undefined
    if ((request.headers.origin !== undefined || endsSession) && !isDashboard(config, request)) {
      throw new SluiceError('FORBIDDEN', "The Origin header must be the dashboard's")
    }
  }

/**
 * The access of inbound events, as route options. If secrets are configured, one of them must sign the event; otherwise
 * the route is open in the sandbox only. Wrong headers are refused before the body is read.
 */
export function inboundAccess({ config }: Pick<ApiDeps, 'config'>) {
  const refuse = (problem: string | undefined) => {
    if (problem !== undefined) throw new SluiceError('AUTHENTICATION_ERROR', problem)
  }
  if (config.inboundWebhookSecrets.length === 0) {
    const closed =
      'This route needs INBOUND_WEBHOOK_SECRET, which is not configured; without it, it is open only with SANDBOX=true'
    return { onRequest: config.sandbox ? [] : [async () => refuse(closed)] }
  }
  const check = createSignatureCheck(config.inboundWebhookSecrets)
  return {
    onRequest: async (request: FastifyRequest) => refuse(check.headersProblem(request.headers, Date.now())),
    config: {
      verifyBody: (request: FastifyRequest, body: Buffer) =>
        refuse(check.problem(request.headers, body, Date.now())),
    },
  }
}
