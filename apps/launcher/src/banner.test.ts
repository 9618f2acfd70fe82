// What a newcomer reads first.
import { expect, test } from 'vitest'
import { banner } from './banner.ts'

const facts = {
  config: {
    publicApiUrl: 'http://127.0.0.1:8000',
    host: '127.0.0.1',
    workerMetricsPort: 9101,
    redisUrl: undefined,
    sandbox: true,
    transactionProcessingDelayMs: 30_000,
  },
  whereDataLies: '/clone/.data (embedded PostgreSQL)',
  transactionId: 'txn_1',
  watch: false,
}

test('says where everything is, and gives commands that can be pasted', () => {
  const text = banner(facts)
  expect(text).toContain('http://127.0.0.1:8000/docs')
  expect(text).toContain('/clone/.data (embedded PostgreSQL)')
  expect(text).toContain('30 s later')
  expect(text).toContain('curl http://127.0.0.1:8000/v1/transactions/txn_1')
  const body = /-d '([^']+)'/.exec(text)?.[1]
  expect(JSON.parse(body!)).toEqual({
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

test("names the queue's Redis without its password", () => {
  const text = banner({ ...facts, config: { ...facts.config, redisUrl: 'redis://user:secret@cache:6379/0' } })
  expect(text).toContain('Redis at cache:6379')
  expect(text).not.toContain('secret')
})
