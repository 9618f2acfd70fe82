// Who may call what. Outside the sandbox everything that the seeds left open is closed.
import { SluiceError } from '@sluice/core'
import type { ApiDeps } from './app.ts'

/**
 * An onRequest hook for routes that are open in the sandbox only. Outside of it they fail closed: inbound deliveries
 * need a secret, reads a merchant, and neither can be configured yet.
 */
export const sandboxOnly = ({ config }: Pick<ApiDeps, 'config'>) =>
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
