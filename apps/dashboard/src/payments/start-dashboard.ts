// For the browser tests: the dashboard as its users run it, with a system of its own behind it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createClient, type PaymentEventDelivery, postPaymentEvent } from '@sluice/contracts'
import { startSystem, waitFor } from '@sluice/testing'
import { inject } from 'vitest'

const repository = path.resolve(import.meta.dirname, '../../../..')
const READY_TIMEOUT_MS = 20_000

export interface Dashboard {
  url: string
  apiUrl: string
  /** Posts an event as a processor does; what is not given is that of a completed payment of $250.00. */
  post: (event: Partial<PaymentEventDelivery>) => Promise<PaymentEventDelivery>
  /** Removes all payments. */
  clear: () => Promise<void>
  stop: () => Promise<void>
}

export async function startDashboard(): Promise<Dashboard> {
  // No workers: nothing on the page waits for one, and rows may be removed without getting into its way.
  const system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0 })
  const pages = spawn(process.execPath, ['--enable-source-maps', 'apps/pages/dist/main.js', 'dashboard'], {
    cwd: repository,
    env: { PATH: process.env.PATH, SANDBOX: 'true', DASHBOARD_PORT: '0', API_URL: system.api.url },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const call = createClient(system.api.url)
  let posted = 0
  return {
    url: await ready(pages),
    apiUrl: system.api.url,
    async post(event) {
      posted++
      const body: PaymentEventDelivery = {
        event_id: `evt_${posted}`,
        payment_id: `pay_${posted}`,
        event: 'payment.completed',
        amount: 25_000,
        currency: 'USD',
        user_id: 'user_881',
        timestamp: 1_710_000_000,
        ...event,
      }
      // As processors do: 503, as from a busy machine, means "unknown, send again".
      return waitFor(`${body.event_id} to be accepted`, async () => {
        const { status, body: answer } = await call(postPaymentEvent, { body })
        if (status !== 202) throw new Error(`It was refused: ${JSON.stringify(answer)}`)
        return body
      })
    },
    async clear() {
      await system.database.query('DELETE FROM payment_events; DELETE FROM external_payments')
    },
    async stop() {
      pages.kill('SIGKILL')
      await system.stop()
    },
  }
}

async function ready(child: ChildProcess): Promise<string> {
  const signal = AbortSignal.timeout(READY_TIMEOUT_MS)
  for (;;) {
    const [message] = await once(child, 'message', { signal })
    if (message.type === 'ready') return message.url
  }
}
