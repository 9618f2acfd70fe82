// Webhooks from a change to the merchant's endpoint: written with it, signed, posted, retried, recorded.
import type http from 'node:http'
import {
  getWebhook,
  listExternalPayments,
  listWebhooks,
  putWebhook,
  regenerateWebhookSecret,
  retryWebhook,
  testWebhook,
} from '@sluice/contracts'
import {
  expectStatus,
  openShop,
  paymentEventBody,
  queueBackends,
  seededKeys,
  startSystem,
  type TestSystem,
  transactionBody,
  waitFor,
} from '@sluice/testing'
import { verify } from '@sluice/webhooks'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { type Received, startEndpoint } from './merchant-endpoint.fixture.ts'

const eventOf = ({ body }: Received) => (JSON.parse(String(body)) as { event: string }).event

/** Concurrent tests must pass their own `onTestFinished` as `ends`. */
async function startWith(
  url: string,
  {
    ends = onTestFinished,
    ...options
  }: Partial<Parameters<typeof startSystem>[0]> & { ends?: typeof onTestFinished } = {},
) {
  const system = await startSystem({ postgresUrl: inject('postgresUrl'), ...options })
  ends(system.stop)
  const settings = expectStatus(
    await system.call(putWebhook, { headers: seededKeys, body: { webhook_url: url } }),
    200,
  )
  return { system, shop: openShop(system.call), secret: settings.webhook_secret! }
}

const webhooksOf = async (system: TestSystem) =>
  expectStatus(await system.call(listWebhooks, { headers: seededKeys, query: { limit: 100 } }), 200).data

/** Two transactions, of which one belongs to no merchant, and events of two external payments. */
async function postInboundEvents(system: TestSystem): Promise<void> {
  const post = (path: string, body: object) =>
    fetch(system.api.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  await post('/v1/webhooks/transactions', transactionBody('txn_published'))
  await post(
    '/v1/webhooks/transactions',
    transactionBody('txn_not', { destination_account: 'acc_without_merchant' }),
  )
  await post('/webhooks/payment', paymentEventBody('evt_1', 'pay_ext', { event: 'payment.pending' }))
  await post('/webhooks/payment', paymentEventBody('evt_2', 'pay_ext', { timestamp: 1710000001 }))
  await post(
    '/webhooks/payment',
    paymentEventBody('evt_3', 'pay_ext', { event: 'payment.refunded', amount: 100 }),
  )
  await post('/webhooks/payment', paymentEventBody('evt_4', 'pay_not', { event: 'payment.failed' }))
}

// Concurrent: they mostly wait for a schedule.
describe.for(queueBackends)('with the queue on $backend', { concurrent: true }, ({ backend, available }) => {
  test.skipIf(!available)(
    'every change is published once, signed, with the state as of the change',
    async ({ onTestFinished: ends }) => {
      const endpoint = await startEndpoint(ends)
      const { system, shop, secret } = await startWith(endpoint.url, { backend, ends })
      const paid = await shop.paid()
      const failed = await shop.settled((await shop.pay((await shop.order()).id, 'failure@test')).id)
      const refund = await shop.refundSettled((await shop.refund(paid.id, 100)).id)
      const odd = await shop.paid(1000, 'refundfail@test')
      await shop.refundSettled((await shop.refund(odd.id, 10)).id)
      await system.call(testWebhook, { headers: seededKeys })
      await postInboundEvents(system)
      const expected = [
        ...Array(3).fill(['payment.created', 'payment.pending']).flat(),
        ...['payment.success', 'payment.success', 'payment.failed'],
        ...['refund.created', 'refund.created', 'refund.processed', 'refund.failed'],
        ...[
          'webhook.test',
          'transaction.processed',
          'external_payment.pending',
          'external_payment.completed',
        ],
        ...['external_payment.refunded', 'external_payment.failed'],
      ].sort()
      await waitFor('all webhooks', () => endpoint.received.length >= expected.length)
      expect(endpoint.received.map(eventOf).sort()).toEqual(expected)

      for (const { body, headers } of endpoint.received) {
        const event = verify(body, headers, secret)
        expect(event.name).toBe(eventOf({ body } as Received))
        expect(JSON.stringify(JSON.parse(String(body)))).toBe(String(body))
      }
      const bodiesOf = (name: string) =>
        endpoint.received.map(({ body }) => JSON.parse(String(body))).filter(({ event }) => event === name)
      expect(bodiesOf('payment.success')[0].data).toEqual({ payment: paid })
      expect(bodiesOf('payment.failed')[0].data).toEqual({ payment: failed })
      expect(bodiesOf('refund.processed')[0].data).toMatchObject({ refund, payment: { id: paid.id } })
      expect(bodiesOf('transaction.processed')[0].data.transaction).toMatchObject({
        transaction_id: 'txn_published',
        status: 'PROCESSED',
      })
      const listed = expectStatus(await system.call(listExternalPayments, { query: {} }), 200)
      expect(bodiesOf('external_payment.refunded')[0].data.payment).toMatchObject({ refunded_amount: 100 })
      expect(
        ['refunded', 'failed'].map((status) => bodiesOf(`external_payment.${status}`)[0].data.payment),
      ).toEqual(['pay_ext', 'pay_not'].map((id) => listed.find(({ payment_id }) => payment_id === id)))
      await waitFor('all to be recorded', async () =>
        (await webhooksOf(system)).every(({ status }) => status === 'success'),
      )
      const attempts = await system.database.query('SELECT count(*)::int AS n FROM webhook_attempts')
      expect(attempts).toEqual([{ n: expected.length }])
      const metrics = await (await fetch(`${system.workers[0]!.url}/metrics`)).text()
      expect(metrics).toContain(`sluice_webhook_attempts_total{outcome="success"} ${expected.length}\n`)
      expect(metrics).toContain(`sluice_webhook_attempt_duration_seconds_count ${expected.length}\n`)
      expect(metrics).toContain(`sluice_webhook_attempt_age_seconds_count ${expected.length}\n`)
      expect(metrics).toMatch(/^sluice_webhook_endpoints_at_limit 0$/m)
      expect(metrics).toMatch(/^sluice_queue_jobs\{queue="webhooks",state="waiting"\} \d+$/m)
      const lines = system.workers[0]!.output().match(/"msg":"webhook attempt"/g)
      expect(lines).toHaveLength(expected.length)
    },
  )

  test.skipIf(!available)(
    'a failing endpoint gets five attempts on the test schedule, with the same bytes',
    async ({ onTestFinished: ends }) => {
      const endpoint = await startEndpoint(ends, (_received, response) => response.writeHead(500).end('no'))
      const env = { WEBHOOK_RETRY_INTERVALS_TEST: 'true' }
      const { system } = await startWith(endpoint.url, { backend, env, ends })
      await system.call(testWebhook, { headers: seededKeys })
      const [webhook] = await waitFor(
        'the delivery to fail',
        async () => {
          const list = await webhooksOf(system)
          return list[0]?.status === 'failed' ? list : undefined
        },
        { timeoutMs: 70_000 },
      )
      expect(webhook).toMatchObject({
        attempts: 5,
        response_code: 500,
        response_body: 'no',
        next_retry_at: null,
      })
      expect(new Set(endpoint.received.map(({ body }) => String(body))).size).toBe(1)
      const gaps = endpoint.received.slice(1).map(({ at }, i) => at - endpoint.received[i]!.at)
      for (const [i, due] of [5000, 10_000, 15_000, 20_000].entries()) {
        expect(gaps[i]).toBeGreaterThanOrEqual(due - 5)
        expect(gaps[i]).toBeLessThan(due + 4000) // the next step of the schedule is another 5000 away
      }
      const { history } = expectStatus(
        await system.call(getWebhook, { headers: seededKeys, params: { webhook_id: webhook!.id } }),
        200,
      )
      expect(history.map(({ number, response_code }) => [number, response_code])).toEqual(
        [1, 2, 3, 4, 5].map((number) => [number, 500]),
      )
      expectStatus(
        await system.call(retryWebhook, { headers: seededKeys, params: { webhook_id: webhook!.id } }),
        200,
      )
      await waitFor('the retry', () => endpoint.received.length === 6)
    },
    100_000,
  )
})

test('when a worker is killed during an attempt, another worker makes the next one within 10 s', async () => {
  const held: http.ServerResponse[] = []
  const endpoint = await startEndpoint(onTestFinished, (_received, response) => {
    if (endpoint.received.length === 1) held.push(response)
    else response.end('OK')
  })
  const { system } = await startWith(endpoint.url)
  // The other worker is started but stopped, so that the measured time excludes its start.
  const other = await system.startWorker()
  process.kill(other.pid, 'SIGSTOP')
  await system.call(testWebhook, { headers: seededKeys })
  await waitFor('the attempt', () => endpoint.received.length === 1)
  await system.workers[0]!.stop('SIGKILL')
  const killedAt = Date.now()
  process.kill(other.pid, 'SIGCONT')
  await waitFor('the next attempt', () => endpoint.received.length === 2)
  expect(Date.now() - killedAt).toBeLessThan(10_000)
  expect(endpoint.received[1]!.headers['webhook-id']).toBe(endpoint.received[0]!.headers['webhook-id'])
  await waitFor('its record', async () => (await webhooksOf(system))[0]?.status === 'success')
})

test('without a URL no delivery is written; a new secret signs together with the old one', async () => {
  const endpoint = await startEndpoint(onTestFinished)
  const { system, shop } = await startWith(endpoint.url)
  await system.call(putWebhook, { headers: seededKeys, body: { webhook_url: null } })
  await shop.paid()
  expect(await webhooksOf(system)).toEqual([])
  await system.call(putWebhook, { headers: seededKeys, body: { webhook_url: endpoint.url } })
  const first = expectStatus(
    await system.call(regenerateWebhookSecret, { headers: seededKeys, body: {} }),
    200,
  )
  const second = expectStatus(
    await system.call(regenerateWebhookSecret, { headers: seededKeys, body: {} }),
    200,
  )
  await system.call(testWebhook, { headers: seededKeys })
  const [received] = await waitFor('the webhook', () =>
    endpoint.received.length > 0 ? endpoint.received : undefined,
  )
  for (const { webhook_secret } of [first, second]) {
    expect(verify(received!.body, received!.headers, webhook_secret!).name).toBe('webhook.test')
  }
})
