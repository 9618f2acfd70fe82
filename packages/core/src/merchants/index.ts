// Merchants: who calls (key or session), and their logins. Seeding and managing them is the operator's, not the apps'.
export {
  authenticateByKey,
  findMerchantByEmail,
  findMerchantProfile,
  type Merchant,
} from './authenticate.ts'
export { createExternalPaymentsOwner, type ExternalPaymentsOwner, type Viewer } from './external-payments.ts'
export { isSandboxSecret, SEEDED_MERCHANT_ID } from './seed.ts'
export { endSession, findSession, type OpenedSession, openSession, setPassword } from './sessions.ts'
export { generateWebhookSecret } from './webhook-secret.ts'
