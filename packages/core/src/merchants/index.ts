// Merchants: authentication by key or session, and logins. Only the operator's tools seed and manage merchants.
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
