// A test webhook: the event `webhook.test` with a sample payment, on a merchant's request.
import type { Database } from '../platform/database.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { urlMissing } from './endpoint-settings.ts'
import { publish } from './publish.ts'

/** Publishes `webhook.test`. @throws BAD_REQUEST_ERROR without a URL */
export async function sendTestWebhook(
  { db, webhooks }: { db: Database; webhooks: Enqueuer },
  merchantId: string,
  requestId: string,
): Promise<void> {
  const data = { payment: samplePayment(new Date()) }
  const written = await db.atomically((tx, afterCommit) =>
    publish(tx, { webhooks, afterCommit }, [{ merchantId, event: 'webhook.test', data, requestId }]),
  )
  if (written === 0) throw urlMissing('a test')
}

const samplePayment = (now: Date) => ({
  id: 'pay_0000000000000000',
  order_id: 'order_0000000000000000',
  amount: 50000,
  currency: 'INR',
  method: 'upi',
  vpa: 'user@paytm',
  status: 'success',
  captured: false,
  refunded_amount: 0,
  error_code: null,
  error_description: null,
  created_at: now.toISOString(),
  updated_at: now.toISOString(),
})
