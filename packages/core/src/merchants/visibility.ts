// Who sees what of the deliveries that came in from outside (SPEC 1, SANDBOX): in the sandbox everybody sees all of it, elsewhere merchants see what is theirs, and of the rest not even that it exists.
import type { Merchant } from './authenticate.ts'
import { SEEDED_MERCHANT_ID } from './seed.ts'

/** Whoever reads: anybody, which is possible in the sandbox only, or a merchant. */
export type Viewer = 'anybody' | Merchant

/** External payments belong to one merchant: the one of this e-mail, or the seeded one where none is named. */
export const seesExternalPayments = (viewer: Viewer, ownerEmail: string | undefined): boolean =>
  viewer === 'anybody' ||
  (ownerEmail === undefined ? viewer.id === SEEDED_MERCHANT_ID : viewer.email === ownerEmail)
