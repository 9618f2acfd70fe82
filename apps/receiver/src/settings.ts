// Reads the receiver's settings from its environment; an empty value counts as unset.

export interface Settings {
  host: string
  port: number
  /** The webhook secret of the merchant whose webhooks come here. */
  secret: string
}

/** The secret of the sandbox's merchant, which is public. */
export const SANDBOX_SECRET = 'whsec_test_abc123'

/** @throws SettingsError */
export function readSettings(env: Record<string, string | undefined>): Settings {
  const portText = env.RECEIVER_PORT || '4000'
  const port = Number(portText)
  if (!/^\d{1,5}$/.test(portText) || port > 65_535) {
    throw new SettingsError('RECEIVER_PORT must be an integer from 0 to 65535')
  }
  const secret = env.WEBHOOK_SECRET || SANDBOX_SECRET
  // verify() would refuse such a secret for every webhook.
  if (secret.trim() !== secret) throw new SettingsError('WEBHOOK_SECRET must have no white space around it')
  return { host: env.HOST || '127.0.0.1', port, secret }
}

/** An invalid setting, described in one line. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}
