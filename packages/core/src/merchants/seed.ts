// The seeded merchant of a new database, with the sandbox's public credentials or the operator's own.
import type pg from 'pg'
import type { Config } from '../platform/config.ts'
import { generateWebhookSecret } from './webhook-secret.ts'

export const SEEDED_MERCHANT_ID = '550e8400-e29b-41d4-a716-446655440000'
const SEEDED_ACCOUNT = 'acc_merchant_456'
const SANDBOX_WEBHOOK_SECRET = 'whsec_test_abc123'

const SANDBOX_API_SECRET = 'secret_test_xyz789'

/**
 * Whether this is the sandbox's public secret, outside the sandbox and without configuration for it. A database that
 * began as a sandbox still contains that secret.
 */
export const isSandboxSecret = (
  { sandbox, seededMerchant }: Pick<Config, 'sandbox' | 'seededMerchant'>,
  apiSecret: string,
): boolean => !sandbox && apiSecret === SANDBOX_API_SECRET && seededMerchant?.apiSecret !== SANDBOX_API_SECRET

/**
 * Creates the seeded merchant and its account, unless a merchant with its id, e-mail or key exists. Returns whether it
 * created them. One statement creates both or neither, so that an account which the operator removed stays removed.
 * Outside the sandbox a random webhook secret replaces the public one.
 */
export async function seedMerchant(
  client: pg.ClientBase,
  config: Pick<Config, 'sandbox' | 'seededMerchant'>,
): Promise<boolean> {
  if (!config.sandbox) {
    await client.query('UPDATE merchants SET webhook_secret = $3 WHERE id = $1 AND webhook_secret = $2', [
      SEEDED_MERCHANT_ID,
      SANDBOX_WEBHOOK_SECRET,
      generateWebhookSecret(),
    ])
  }
  if (config.seededMerchant === undefined) return false
  const { email, apiKey, apiSecret } = config.seededMerchant
  const webhookSecret = config.sandbox ? SANDBOX_WEBHOOK_SECRET : generateWebhookSecret()
  const { rows } = await client.query<{ id: string }>(
    `WITH merchant AS (
       INSERT INTO merchants (id, name, email, api_key, api_secret, webhook_secret)
       VALUES ($1, 'Test Merchant', $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING id),
     account AS (
       INSERT INTO merchant_accounts (account, merchant_id) SELECT $6, id FROM merchant ON CONFLICT DO NOTHING)
     SELECT id FROM merchant`,
    [SEEDED_MERCHANT_ID, email, apiKey, apiSecret, webhookSecret, SEEDED_ACCOUNT],
  )
  return rows.length > 0
}
