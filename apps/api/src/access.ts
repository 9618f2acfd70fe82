// Who may call what. Outside the sandbox everything that the seeds left open is closed.
import { createSignatureCheck, SluiceError } from '@sluice/core'
import type { FastifyRequest } from 'fastify'
import type { ApiDeps } from './app.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Looks at the bytes before anything is made of them; throws when they are not to be trusted. */
    verifyBody?: (request: FastifyRequest, body: Buffer) => void
  }
}

type AccessDeps = Pick<ApiDeps, 'config'>

/** An onRequest hook for routes that are open in the sandbox only. Outside of it they fail closed. */
export const sandboxOnly = ({ config }: AccessDeps) =>
  config.sandbox
    ? []
    : [
        async () => {
          throw new SluiceError(
            'AUTHENTICATION_ERROR',
            'This route needs authentication, which is not configured; it is open only with SANDBOX=true',
          )
        },
      ]

/**
 * The access of inbound events, as route options: signed with one of the secrets where there are any, else open in the
 * sandbox only. What the headers tell is refused before the body is read.
 */
export function inboundAccess({ config }: AccessDeps) {
  if (config.inboundWebhookSecrets.length === 0) return { onRequest: sandboxOnly({ config }) }
  const check = createSignatureCheck(config.inboundWebhookSecrets)
  const refuse = (problem: string | undefined) => {
    if (problem !== undefined) throw new SluiceError('AUTHENTICATION_ERROR', problem)
  }
  return {
    onRequest: async (request: FastifyRequest) => refuse(check.headersProblem(request.headers, Date.now())),
    config: {
      verifyBody: (request: FastifyRequest, body: Buffer) =>
        refuse(check.problem(request.headers, body, Date.now())),
    },
  }
}
