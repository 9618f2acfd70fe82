// Webhooks: publish in the caller's commit, then lease, sign, post and record; endpoints and their deliveries.
export {
  createDeliveryLoop,
  createWakeUpHandler,
  type DeliveryLoop,
  type DeliveryLoopDeps,
} from './delivery-loop.ts'
export { regenerateSecret, setWebhookUrl } from './endpoint-settings.ts'
export { webhookWork } from './jobs.ts'
export { createOutbound, type Outbound } from './outbound-http.ts'
export { type Publication, type Publishing, prepareDeliveries, publish } from './publish.ts'
export { findWebhook, listWebhooks } from './read.ts'
export { replayWebhooks, retryWebhook } from './replay.ts'
export { ATTEMPTS_MAX } from './retry-schedule.ts'
export { sendTestWebhook } from './send-test.ts'
