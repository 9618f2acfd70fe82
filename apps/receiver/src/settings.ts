// What the receiver is told by its environment; an empty value counts as unset.

export interface Settings {
  host: string
  port: number
  /** The webhook secret of the merchant whose webhooks come here. */
  secret: string
}

/** The sandbox's merchant has it, and it is no secret. */
export const SANDBOX_SECRET = 'whsec_test_abc123'

/** @throws SettingsError */
export function readSettings(env: Record<string, string | undefined>): Settings {
  const portText = env.RECEIVER_PORT || '4000'
  const port = Number(portText)
  if (!/^\d{1,5}$/.test(portText) || port > 65_535) {
    throw new SettingsError('RECEIVER_PORT must be an integer from 0 to 65535')
  }
  const secret = env.WEBHOOK_SECRET || SANDBOX_SECRET
  // verify() would refuse it with every webhook.
  if (secret.trim() !== secret) throw new SettingsError('WEBHOOK_SECRET must have no white space around it')
  return { host: env.HOST || '127.0.0.1', port, secret }
}

/** A mistake of whoever started this, said in one line. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}
