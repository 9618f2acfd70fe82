// Authentication by key and secret. Each request reads the merchant, so that changes take effect at once.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { MerchantProfile } from '@sluice/contracts'
import { type Database, FIND_TIMEOUT_MS } from '../platform/database.ts'
import { unavailable } from '../platform/errors.ts'
import { withTimeout } from '../platform/with-timeout.ts'

/** The public fields of a merchant that requests need; none is secret. */
export interface Merchant {
  id: string
  name: string
  /** In lower case. */
  email: string
}

/** The limits are the widths of the columns, in characters. PostgreSQL stores no NUL in a text. */
const CREDENTIAL = /^[^\0]{1,64}$/u
const EMAIL = /^[^\0]{1,255}$/u

/** The active merchant of this pair, or undefined. An unknown key takes as long as a wrong secret. */
export async function authenticateByKey(
  db: Database,
  apiKey: string,
  apiSecret: string,
): Promise<Merchant | undefined> {
  if (!CREDENTIAL.test(apiKey) || !CREDENTIAL.test(apiSecret)) return undefined
  const [known] = await db.query<Merchant & { secret: string }>({
    name: 'merchant-by-key',
    text: 'SELECT id, name, email, api_secret AS secret FROM merchants WHERE api_key = $1 AND is_active',
    values: [apiKey],
  })
  const isSame = timingSafeEqual(digest(apiSecret), digest(known?.secret ?? ''))
  if (!isSame || known === undefined) return undefined
  const { secret: _, ...merchant } = known
  return merchant
}

/** Digests have one length, and the time of their comparison reveals nothing about the text. */
const digest = (text: string) => createHash('sha256').update(text).digest()

/** The merchant of this address, in upper or lower case, active or not; or undefined. */
export async function findMerchantByEmail(db: Database, email: string): Promise<Merchant | undefined> {
  const address = email.toLowerCase()
  if (!EMAIL.test(address)) return undefined
  const [merchant] = await db.query<Merchant>({
    name: 'merchant-by-email',
    text: 'SELECT id, name, email FROM merchants WHERE email = $1',
    values: [address],
  })
  return merchant
}

/** The body of GET /merchant, or undefined for an unknown merchant. Rejects as unavailable within a second. */
export async function findMerchantProfile(
  db: Database,
  merchantId: string,
): Promise<MerchantProfile | undefined> {
  const row = await withTimeout(
    FIND_TIMEOUT_MS,
    db.prisma.merchant.findUnique({ where: { id: merchantId }, omit: { passwordHash: true } }),
    unavailable,
  )
  if (row === null) return undefined
  return {
    id: row.id,
    name: row.name,
    email: row.email,
    api_key: row.apiKey,
    api_secret: row.apiSecret,
    webhook_url: row.webhookUrl,
    webhook_secret: row.webhookSecret,
    is_active: row.isActive,
    created_at: row.createdAt.toISOString(),
  }
}
