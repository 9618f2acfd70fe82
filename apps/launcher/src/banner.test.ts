// What a newcomer reads first.
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
  },
  whereDataLies: '/clone/.data (embedded PostgreSQL)',
  tag: '1',
  now: new Date(1_710_000_000_999),
  watch: false,
}

test('says where everything is, and gives commands that can be pasted', () => {
  const text = banner(facts)
  expect(text).toContain('http://127.0.0.1:8000/docs')
  expect(text).toContain('/clone/.data (embedded PostgreSQL)')
  expect(text).toContain('30 s later')
  expect(text).toContain('curl http://127.0.0.1:8000/v1/transactions/txn_1')
  const [payment, transaction] = [...text.matchAll(/curl -i (\S+) .* -d '([^']+)'/g)]
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
  expect(text).not.toContain('SANDBOX')
})

test('says that webhooks are refused when the sandbox is off', () => {
  const text = banner({ ...facts, config: { ...facts.config, sandbox: false } })
  expect(text).toContain('answered 401')
  expect(text).not.toContain('curl') // it would be refused
})

test('says that signed webhooks are taken when the sandbox is off and a secret is set', () => {
  const config = { ...facts.config, sandbox: false, inboundWebhookSecrets: ['whsec_x'] }
  expect(banner({ ...facts, config })).toMatch(/webhooks need a signature by INBOUND_WEBHOOK_SECRET/)
})

test('offers no command that a secret would have refused', () => {
  const text = banner({ ...facts, config: { ...facts.config, inboundWebhookSecrets: ['whsec_x'] } })
  expect(text).toMatch(/^INBOUND_WEBHOOK_SECRET is set: [^\n]* 401/m)
  expect(text).not.toMatch(/curl -i|whsec_x/)
})

test("names the queue's Redis without its password", () => {
  const text = banner({ ...facts, config: { ...facts.config, redisUrl: 'redis://user:secret@cache:6379/0' } })
  expect(text).toContain('Redis at cache:6379')
  expect(text).not.toContain('secret')
})
