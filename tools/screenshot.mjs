// `npm run screenshot`: starts a system with sample payments and makes docs/payments.png, the picture of the dashboard.
import path from 'node:path'
import { main, root, stopOnSignals } from './process.mjs'
import { setup } from './setup.mjs'

const HOUR_S = 3600

/** The payments in the picture, one a line, with their events in order of arrival. */
const payments = [
  ['pay_1001', 25000, 'USD', ['pending', 'completed']],
  ['pay_1002', 9900, 'EUR', ['pending', 'failed']],
  ['pay_1003', 129900, 'INR', ['pending', 'completed']],
  ['pay_1004', 4500, 'JPY', ['completed', 'pending']],
  ['pay_1005', 12500, 'USD', ['pending', 'completed', 'refunded']],
  ['pay_1006', 1250, 'KWD', ['pending']],
  ['pay_1007', 49900, 'EUR', ['failed', 'pending', 'completed']],
  ['pay_1008', 37500, 'USD', ['pending']],
]
const provider = { pending: 0, failed: 40, completed: 90, refunded: HOUR_S }

await main(async () => {
  const { stop } = stopOnSignals()
  await setup({ stop })
  const testing = await import(path.join(root, 'packages/testing/dist/index.js'))
  const server = await testing.startPostgres()
  const system = await testing.startSystemOn(server, { workers: 0 })
  const pages = await testing.startApp('pages', { API_URL: system.api.url }, ['dashboard'])
  const browser = await testing.launchBrowser()
  try {
    await postAll(system.api.url)
    // Arrival times seven minutes apart.
    await server.query(`
      UPDATE external_payments SET created_at = moved, updated_at = moved FROM (
        SELECT payment_id AS id, now() - interval '7 minutes' * (8 - row_number() OVER (ORDER BY updated_at)) AS moved
        FROM external_payments) AS times WHERE payment_id = id`)
    const page = await browser.newPage({ viewport: { width: 1200, height: 760 } })
    await page.goto(`${pages.url}/payments`)
    await page
      .getByTestId('payment-row')
      .nth(payments.length - 1)
      .waitFor()
    await page.getByTestId('fetching').waitFor({ state: 'detached' })
    await page.screenshot({ path: path.join(root, 'docs/payments.png') })
    console.log('docs/payments.png')
  } finally {
    await browser.close()
    await pages.stop()
    await system.stop()
    await server.remove?.()
  }
})

async function postAll(url) {
  const start = Math.floor(Date.now() / 1000) - HOUR_S
  for (const [payment_id, amount, currency, statuses] of payments) {
    for (const status of statuses) {
      const body = {
        event_id: `evt_${payment_id}_${status}`,
        payment_id,
        event: `payment.${status}`,
        amount: status === 'refunded' ? Math.floor(amount / 5) : amount,
        currency,
        user_id: `user_${payment_id.slice(-2)}`,
        timestamp: start + provider[status],
      }
      const response = await fetch(`${url}/webhooks/payment`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`)
    }
  }
}
