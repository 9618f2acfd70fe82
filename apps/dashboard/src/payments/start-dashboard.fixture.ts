// For the browser tests: the dashboard as its users run it, with a system of its own behind it.
import { createClient, type PaymentEventRequest, postPaymentEvent } from '@sluice/contracts'
import { paymentEventBody, startApp, startSystem, waitFor } from '@sluice/testing'
import { inject } from 'vitest'

export interface Dashboard {
  url: string
  apiUrl: string
  /** Posts an event as a processor does; the defaults are those of a completed payment of $250.00. */
  post: (event: Partial<PaymentEventRequest>) => Promise<PaymentEventRequest>
  /** Adds copies of a payment, each with an id of its own and an older time, without posting events. */
  addCopies: (paymentId: string, count: number) => Promise<void>
  /** Removes all payments. */
  clear: () => Promise<void>
  stop: () => Promise<void>
}

export async function startDashboard(): Promise<Dashboard> {
  // Without workers: the page needs none, and rows can be removed without disturbing one.
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
      // As processors do: 503, as from a busy machine, means "unknown, send again".
      return waitFor(`${body.event_id} to be accepted`, async () => {
        const { status, body: answer } = await call(postPaymentEvent, { body })
        if (status !== 202) throw new Error(`It was refused: ${JSON.stringify(answer)}`)
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
