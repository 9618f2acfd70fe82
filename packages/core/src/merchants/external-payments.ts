// Who owns external payments, and who may see them: the one place of that rule.
import type { Database } from '../platform/database.ts'
import { findMerchantByEmail, type Merchant } from './authenticate.ts'
import { SEEDED_MERCHANT_ID } from './seed.ts'

/** The caller of a read: a merchant, or 'sandbox' where reads need no keys. */
export type Viewer = 'sandbox' | Merchant

export interface ExternalPaymentsOwner {
  /** The owner's merchant id, or undefined while no merchant has the configured e-mail. Rejects as unavailable. */
  id: () => Promise<string | undefined>
  /** In the sandbox every viewer sees external payments, elsewhere their owner only. */
  isVisibleTo: (viewer: Viewer) => Promise<boolean>
}

/**
 * The owner of external payments: the merchant of `email` (EXTERNAL_PAYMENTS_MERCHANT), by default the seeded one.
 * The id is looked up until it is found, then kept: a merchant's id and e-mail do not change.
 */
export function createExternalPaymentsOwner(db: Database, email: string | undefined): ExternalPaymentsOwner {
  let known = email === undefined ? SEEDED_MERCHANT_ID : undefined
  async function id(): Promise<string | undefined> {
    if (known === undefined && email !== undefined) known = (await findMerchantByEmail(db, email))?.id
    return known
  }
  return {
    id,
    isVisibleTo: async (viewer) => viewer === 'sandbox' || viewer.id === (await id()),
  }
}
