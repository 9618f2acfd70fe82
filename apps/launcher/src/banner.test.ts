// The banner of `npm start`: addresses and commands that work.
import { expect, test } from 'vitest'
import { banner } from './banner.ts'

const facts = {
  config: {
    publicApiUrl: 'http://127.0.0.1:8000',
    publicDashboardUrl: 'http://127.0.0.1:3000',
    host: '127.0.0.1',
    workerMetricsPort: 9101,
    redisUrl: undefined,
    sandbox: true,
    inboundWebhookSecrets: [],
    transactionProcessingDelayMs: 30_000,
    seededMerchant: { email: 'a@b.example', apiKey: 'key_1', apiSecret: 'secret_1' },
  },
  dataLocation: '/clone/.data (embedded PostgreSQL)',
  tag: '1',
  now: new Date(1_710_000_000_999),
  watch: false,
}

test('the banner has all addresses, and commands that can be pasted', () => {
  const text = banner(facts)
  expect(text).toContain('http://127.0.0.1:8000/docs')
  expect(text).toContain('/clone/.data (embedded PostgreSQL)')
  expect(text).toContain('30 s later')
  expect(text).toContain('curl http://127.0.0.1:8000/v1/transactions/txn_1')
  const [payment, transaction, order, pay] = [...text.matchAll(/curl -i (\S+) .* -d '([^']+)'/g)]
  expect(payment?.[1]).toBe('http://127.0.0.1:8000/webhooks/payment')
  expect(JSON.parse(payment![2]!)).toEqual({
    event_id: 'evt_1',
    payment_id: 'pay_1',
    event: 'payment.completed',
    amount: 25000,
    currency: 'USD',
    user_id: 'user_1',
    timestamp: 1_710_000_000,
  })
  expect(text.match(/http:\/\/127\.0\.0\.1:3000\/payments$/gm)).toHaveLength(2)
  expect(transaction?.[1]).toBe('http://127.0.0.1:8000/v1/webhooks/transactions')
  expect(JSON.parse(transaction![2]!)).toEqual({
    transaction_id: 'txn_1',
    source_account: 'acc_user_789',
    destination_account: 'acc_merchant_456',
    amount: 1500,
    currency: 'INR',
  })
  expect(order?.[0]).toContain(`/api/v1/orders -H 'X-Api-Key: key_1' -H 'X-Api-Secret: secret_1'`)
  expect(JSON.parse(order![2]!)).toEqual({ amount: 50000, currency: 'INR' })
  expect(JSON.parse(pay![2]!)).toMatchObject({ method: 'upi', vpa: 'success@test' })
  expect(text).toContain('a@b.example, X-Api-Key: key_1, X-Api-Secret: secret_1')
  expect(text).not.toContain('SANDBOX')
})

test('with the sandbox off, the banner states that webhooks are refused', () => {
  const text = banner({ ...facts, config: { ...facts.config, sandbox: false } })
  expect(text).toContain('get 401')
  expect(text).toContain('npm run merchant -- create')
  expect(text).not.toContain('curl') // it would be refused
  expect(text).not.toMatch(/key_1|secret_1/)
})

test('with the sandbox off and a secret, the banner states that webhooks need a signature', () => {
  const config = { ...facts.config, sandbox: false, inboundWebhookSecrets: ['whsec_x'] }
  expect(banner({ ...facts, config })).toMatch(/webhooks need a signature by INBOUND_WEBHOOK_SECRET/)
})

test('with a secret, the banner has no unsigned command', () => {
  const text = banner({ ...facts, config: { ...facts.config, inboundWebhookSecrets: ['whsec_x'] } })
  expect(text).toMatch(/^INBOUND_WEBHOOK_SECRET is set: [^\n]* 401/m)
  expect(text).not.toMatch(/curl -i|whsec_x/)
})

test("the banner names the queue's Redis without its password", () => {
  const text = banner({ ...facts, config: { ...facts.config, redisUrl: 'redis://user:hidden@cache:6379/0' } })
  expect(text).toContain('Redis at cache:6379')
  expect(text).not.toContain('hidden')
})
