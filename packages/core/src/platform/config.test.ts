// Reading the environment: defaults, every kind of problem, and agreement with .env.example.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type ConfigError, readConfig, readServiceConfig, variables } from './config.ts'

const SEEDED = { email: 'test@example.com', apiKey: 'key_test_abc123', apiSecret: 'secret_test_xyz789' }

test('an empty environment is a valid sandbox', () => {
  expect(readConfig({})).toMatchObject({
    databaseUrl: undefined,
    redisUrl: undefined,
    host: '127.0.0.1',
    port: 8000,
    publicApiUrl: 'http://127.0.0.1:8000',
    sandbox: true,
    externalPaymentsMerchant: undefined,
    rateLimitPerMinute: 60_000,
    transactionProcessingDelayMs: 30_000,
    upiSuccessRate: 0.9,
    cardSuccessRate: 0.95,
    processingDelayMs: { min: 5000, max: 10_000 },
    refundDelayMs: { min: 3000, max: 5000 },
    testMode: undefined,
    seededMerchant: SEEDED,
    logLevel: 'info',
    otelEndpoint: undefined,
  })
})

test('empty values count as unset, as compose passes them', () => {
  const empty = Object.fromEntries(variables.map((name, index) => [name, index % 2 === 0 ? '' : '  ']))
  expect(readConfig(empty)).toEqual(readConfig({}))
  const production = { NODE_ENV: 'production' }
  expect(readConfig({ ...empty, ...production })).toEqual(readConfig(production))
})

test('production closes the sandbox unless SANDBOX is true', () => {
  expect(readConfig({ NODE_ENV: 'production' }).sandbox).toBe(false)
  expect(readConfig({ NODE_ENV: 'production', SANDBOX: 'true' }).sandbox).toBe(true)
})

test('every problem is reported at once, by the variable’s name', () => {
  const wrong = {
    DATABASE_URL: 'mysql://x',
    REDIS_URL: 'nonsense',
    PORT: '65536',
    WORKER_METRICS_PORT: '-1',
    PUBLIC_API_URL: 'ftp://x',
    SANDBOX: 'yes',
    TRANSACTION_PROCESSING_DELAY_MS: '1.5',
    WORKER_CONCURRENCY: '0',
    DISPATCH_INTERVAL_MS: 'abc',
    RETENTION_DAYS: '0',
    EXTERNAL_PAYMENTS_MERCHANT: 'nobody',
    RATE_LIMIT_PER_MINUTE: '0',
    UPI_SUCCESS_RATE: '90%',
    CARD_SUCCESS_RATE: '1.01',
    PROCESSING_DELAY_MIN: '-1',
    PROCESSING_DELAY_MAX: '1.5',
    REFUND_DELAY_MIN: '2147483648',
    REFUND_DELAY_MAX: '5s',
    TEST_MODE: '1',
    TEST_PAYMENT_SUCCESS: 'maybe',
    TEST_PROCESSING_DELAY: '-1',
    TEST_MERCHANT_EMAIL: 'a@b@c',
    TEST_API_KEY: 'two words',
    TEST_API_SECRET: 'x'.repeat(65),
    LOG_LEVEL: 'loud',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'grpc://collector:4317',
  }
  const problems = problemsOf(wrong)
  expect(problems).toHaveLength(Object.keys(wrong).length)
  for (const name of Object.keys(wrong))
    expect(problems.filter((line) => line.startsWith(`${name} `))).toHaveLength(1)
})

test('a wrong URL is not quoted: it may carry a password', () => {
  expect(problemsOf({ DATABASE_URL: 'mysql://root:hunter2@db/x' }).join()).not.toContain('hunter2')
})

test.each([
  ['UPI_SUCCESS_RATE', 'upiSuccessRate'],
  ['CARD_SUCCESS_RATE', 'cardSuccessRate'],
] as const)('%s is a share from 0 to 1', (name, field) => {
  for (const [text, rate] of [
    ['0', 0],
    ['0.25', 0.25],
    ['.5', 0.5],
    ['1.00', 1],
  ] as const) {
    expect(readConfig({ [name]: text })[field]).toBe(rate)
  }
  for (const text of ['-0.1', '1.0001', '2', '90', '1e-1', '0x1', 'NaN', '.', '1.', '0,5', 'high']) {
    expect(problemsOf({ [name]: text })).toEqual([`${name} must be a number from 0 to 1, not "${text}"`])
  }
})

describe.each([
  ['PROCESSING_DELAY', 'processingDelayMs', 5000, 10_000],
  ['REFUND_DELAY', 'refundDelayMs', 3000, 5000],
] as const)('%s_MIN and _MAX', (name, field, min, max) => {
  const [MIN, MAX] = [`${name}_MIN`, `${name}_MAX`]

  test('are set together or alone, and may be equal', () => {
    expect(readConfig({ [MIN]: '0', [MAX]: '0' })[field]).toEqual({ min: 0, max: 0 })
    expect(readConfig({ [MIN]: '1', [MAX]: '2147483647' })[field]).toEqual({ min: 1, max: 2 ** 31 - 1 })
    expect(readConfig({ [MIN]: String(max) })[field]).toEqual({ min: max, max })
    expect(readConfig({ [MAX]: String(min) })[field]).toEqual({ min, max: min })
  })

  test('are refused in the wrong order, by both names, against a default too', () => {
    expect(problemsOf({ [MIN]: '20', [MAX]: '10' })).toEqual([`${MIN} (20) must not be above ${MAX} (10)`])
    expect(problemsOf({ [MIN]: String(max + 1) })).toEqual([
      `${MIN} (${max + 1}) must not be above ${MAX} (${max} by default)`,
    ])
    expect(problemsOf({ [MAX]: String(min - 1) })).toEqual([
      `${MIN} (${min} by default) must not be above ${MAX} (${min - 1})`,
    ])
  })

  test('are not compared when one of them is invalid', () => {
    expect(problemsOf({ [MIN]: 'soon', [MAX]: '1' })).toEqual([
      `${MIN} must be an integer from 0 to 2147483647, not "soon"`,
    ])
  })
})

describe('test mode', () => {
  test('is off unless it is switched on, with any of its settings', () => {
    expect(readConfig({ TEST_PAYMENT_SUCCESS: 'false', TEST_PROCESSING_DELAY: '5' }).testMode).toBeUndefined()
    expect(readConfig({ TEST_MODE: 'false' }).testMode).toBeUndefined()
  })

  test('has defaults and settings', () => {
    expect(readConfig({ TEST_MODE: 'true' }).testMode).toEqual({
      paymentSuccess: true,
      processingDelayMs: 1000,
    })
    expect(
      readConfig({ TEST_MODE: 'true', TEST_PAYMENT_SUCCESS: 'false', TEST_PROCESSING_DELAY: '0' }).testMode,
    ).toEqual({ paymentSuccess: false, processingDelayMs: 0 })
  })

  test('is for the sandbox', () => {
    const problem = ['TEST_MODE may be true only with SANDBOX=true']
    expect(problemsOf({ SANDBOX: 'false', TEST_MODE: 'true' })).toEqual(problem)
    expect(problemsOf({ NODE_ENV: 'production', TEST_MODE: 'true' })).toEqual(problem)
    expect(problemsOf({ NODE_ENV: 'production', SANDBOX: 'true', TEST_MODE: 'true' })).toEqual([])
    expect(problemsOf({ SANDBOX: 'false', TEST_MODE: 'false', TEST_PROCESSING_DELAY: '5' })).toEqual([])
  })
})

describe('the seeded merchant', () => {
  const off = { SANDBOX: 'false' }
  const own = { TEST_API_KEY: 'key_own', TEST_API_SECRET: 'secret_own' }

  test('can be changed in the sandbox, piece by piece', () => {
    const seeded = (env: Record<string, string>) => readConfig(env).seededMerchant
    expect(seeded({ TEST_MERCHANT_EMAIL: 'Me@Shop.Example' })).toEqual({
      ...SEEDED,
      email: 'me@shop.example',
    })
    expect(seeded({ TEST_API_KEY: 'key_own' })).toEqual({ ...SEEDED, apiKey: 'key_own' })
    expect(seeded({ TEST_API_SECRET: 'secret_own' })).toEqual({ ...SEEDED, apiSecret: 'secret_own' })
  })

  test('exists elsewhere only with credentials of its own', () => {
    expect(readConfig(off).seededMerchant).toBeUndefined()
    expect(readConfig({ ...off, TEST_MERCHANT_EMAIL: 'me@shop.example' }).seededMerchant).toBeUndefined()
    expect(readConfig({ ...off, ...own }).seededMerchant).toEqual({
      email: 'test@example.com',
      apiKey: 'key_own',
      apiSecret: 'secret_own',
    })
  })

  test('needs both credentials or none elsewhere', () => {
    expect(problemsOf({ ...off, TEST_API_KEY: 'key_own' })).toEqual([
      'TEST_API_SECRET must be set when TEST_API_KEY is and the sandbox is off: set both or neither',
    ])
    expect(problemsOf({ ...off, TEST_API_SECRET: 'secret_own', TEST_API_KEY: ' ' })).toEqual([
      'TEST_API_KEY must be set when TEST_API_SECRET is and the sandbox is off: set both or neither',
    ])
  })

  test.each([
    ['TEST_API_KEY', 'apiKey'],
    ['TEST_API_SECRET', 'apiSecret'],
  ] as const)('%s has 1 to 64 visible ASCII characters', (name, field) => {
    for (const right of ['x', 'x'.repeat(64), '~!'.repeat(32)]) {
      expect(readConfig({ [name]: right }).seededMerchant?.[field]).toBe(right)
    }
    for (const wrong of ['x'.repeat(65), 'a b', 'a\tb', 'a\u00a0b', 'a\nb', 'clé', '🔑']) {
      const problem = [`${name} must be 1 to 64 visible ASCII characters`]
      expect(problemsOf({ [name]: wrong })).toEqual(problem)
      // A wrong half is still set: no problem about a missing half is reported.
      expect(problemsOf({ ...off, ...own, [name]: wrong })).toEqual(problem)
    }
  })

  test('has a secret that no problem quotes', () => {
    for (const env of [{ SANDBOX: 'true' }, off]) {
      expect(problemsOf({ ...env, TEST_API_SECRET: 'hunter2 hunter2' }).join()).not.toContain('hunter2')
    }
    expect(problemsOf({ ...off, TEST_API_SECRET: 'hunter2' }).join()).not.toContain('hunter2')
  })
})

test.each([
  ['TEST_MERCHANT_EMAIL', (env: Record<string, string>) => readConfig(env).seededMerchant?.email],
  ['EXTERNAL_PAYMENTS_MERCHANT', (env: Record<string, string>) => readConfig(env).externalPaymentsMerchant],
] as const)('%s is an e-mail address, lower-cased', (name, read) => {
  expect(read({ [name]: ' Owner@Shop.EXAMPLE ' })).toBe('owner@shop.example')
  const longest = `${'x'.repeat(253)}@y`
  expect(read({ [name]: longest })).toBe(longest)
  for (const wrong of [
    'owner',
    '@shop.example',
    'owner@',
    '@',
    'a@b@c',
    'the owner@shop.example',
    `x${longest}`,
  ]) {
    expect(problemsOf({ [name]: wrong })).toEqual([
      `${name} must be an e-mail address (one @, no white space, at most 255 characters)`,
    ])
  }
})

test('the rate limit is generous in the sandbox only', () => {
  expect(readConfig({ SANDBOX: 'true' }).rateLimitPerMinute).toBe(60_000)
  expect(readConfig({ SANDBOX: 'false' }).rateLimitPerMinute).toBe(600)
  for (const SANDBOX of ['true', 'false']) {
    expect(readConfig({ SANDBOX, RATE_LIMIT_PER_MINUTE: '1' }).rateLimitPerMinute).toBe(1)
    expect(readConfig({ SANDBOX, RATE_LIMIT_PER_MINUTE: '10000000' }).rateLimitPerMinute).toBe(10_000_000)
  }
  for (const wrong of ['0', '10000001', '1.5', 'none']) {
    expect(problemsOf({ RATE_LIMIT_PER_MINUTE: wrong })).toEqual([
      `RATE_LIMIT_PER_MINUTE must be an integer from 1 to 10000000, not "${wrong}"`,
    ])
  }
})

test('a service needs a database', () => {
  expect(() => readServiceConfig({})).toThrow(/DATABASE_URL must be set/)
})

test('.env.example documents every variable that is read, all commented out', () => {
  const file = readExample()
  const documented = [...file.matchAll(/^# ?([A-Z_]+)=/gm)].map(([, name]) => name)
  expect(documented).toEqual([...variables])
  expect(file.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([])
})

test('.env.example shows the defaults of the simulated bank and the seeded merchant', () => {
  const shown = [...readExample().matchAll(/^# ?([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!])
  const bank = shown.filter(([name]) => /^(TEST|UPI|CARD|PROCESSING|REFUND)_/.test(name!))
  expect(bank).toHaveLength(12)
  expect(readConfig(Object.fromEntries(bank))).toEqual(readConfig({}))
  const { TEST_PAYMENT_SUCCESS, TEST_PROCESSING_DELAY } = Object.fromEntries(bank)
  expect(readConfig({ TEST_MODE: 'true', TEST_PAYMENT_SUCCESS, TEST_PROCESSING_DELAY })).toEqual(
    readConfig({ TEST_MODE: 'true' }),
  )
})

const readExample = () => readFileSync(path.resolve(import.meta.dirname, '../../../../.env.example'), 'utf8')

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    return (error as ConfigError).problems
  }
}

test.for([
  ['10.0.0.1', ['10.0.0.1']],
  ['127.0.0.1, 172.16.0.0/12,::1/128', ['127.0.0.1', '172.16.0.0/12', '::1/128']],
  ['0.0.0.0/1,128.0.0.0/1', ['0.0.0.0/1', '128.0.0.0/1']],
] as const)('proxies are believed by address and range: %j', ([given, trustProxy]) => {
  expect(readConfig({ TRUST_PROXY: given })).toMatchObject({ trustProxy })
})

test.for(['0.0.0.0/0', '::/0', '10.0.0.0/33', '10.0.0.0/-1', 'proxy.example', '10.0.0'])(
  'a proxy of %j is a problem',
  (given) => {
    expect(() => readConfig({ TRUST_PROXY: given })).toThrow(/TRUST_PROXY must be/)
  },
)
