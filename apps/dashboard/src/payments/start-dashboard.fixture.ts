// Browser tests' dashboard: the built pages behind the page server, with a system of their own.
import { createClient, type PaymentEventRequest, postPaymentEvent } from '@sluice/contracts'
import { paymentEventBody, startApp, startSystem, waitFor } from '@sluice/testing'
import { inject } from 'vitest'

export interface Dashboard {
  url: string
  apiUrl: string
  /** Posts an event as a processor does. The defaults describe a completed payment of $250.00. */
  post: (event: Partial<PaymentEventRequest>) => Promise<PaymentEventRequest>
  /** Adds copies of a payment without posting events. Each copy has its own id and an older time. */
  addCopies: (paymentId: string, count: number) => Promise<void>
  /** Removes all payments. */
  clear: () => Promise<void>
  stop: () => Promise<void>
}

export async function startDashboard(): Promise<Dashboard> {
  // The page needs no worker, and `clear` would remove rows under one.
  const system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
  const pages = await startApp('pages', { API_URL: system.api.url }, ['dashboard'])
  const call = createClient(system.api.url)
  let posted = 0
  return {
    url: pages.url,
    apiUrl: system.api.url,
    async post(event) {
      posted++
      const body = { ...paymentEventBody(`evt_${posted}`, `pay_${posted}`), ...event }
      // A processor retries after a 503, which a busy machine may return.
      return waitFor(`the acceptance of ${body.event_id}`, async () => {
        const response = await call(postPaymentEvent, { body })
        if (response.status !== 202) {
          throw new Error(`The API refused the event: ${JSON.stringify(response.body)}`)
        }
        return body
      })
    },
    async addCopies(paymentId, count) {
      await system.database.query(
        `INSERT INTO external_payments
         SELECT (jsonb_populate_record(p, jsonb_build_object(
           'payment_id', p.payment_id || '_' || n,
           'created_at', p.created_at - n * interval '1 ms',
           'updated_at', p.updated_at - n * interval '1 ms'))).*
         FROM external_payments p, generate_series(1, $2::int) n WHERE payment_id = $1`,
        [paymentId, count],
      )
    },
    async clear() {
      await system.database.query('DELETE FROM payment_events; DELETE FROM external_payments')
    },
    async stop() {
      await pages.stop('SIGKILL')
      await system.stop()
    },
  }
}
