// Webhooks: publish in the caller's commit → (queue) → claim, sign, post, record; endpoints and their deliveries.
export { createDeliveries, type DeliveryDeps } from './deliver.ts'
export {
  regenerateSecret,
  replayWebhooks,
  retryWebhook,
  sendTestWebhook,
  setWebhookUrl,
} from './endpoint.ts'
export { webhookWork } from './jobs.ts'
export { createOutbound, type Outbound } from './outbound-http.ts'
export { type Publication, type Publishing, prepareDeliveries, publish } from './publish.ts'
export { findWebhook, listWebhooks } from './read.ts'
export { generateWebhookSecret } from './signature.ts'
