import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { type ConfigError, readConfig, readServiceConfig, variables } from './config.ts'

test('an empty environment is a valid sandbox', () => {
  expect(readConfig({})).toMatchObject({
    databaseUrl: undefined,
    redisUrl: undefined,
    host: '127.0.0.1',
    port: 8000,
    publicApiUrl: 'http://127.0.0.1:8000',
    sandbox: true,
    transactionProcessingDelayMs: 30_000,
    logLevel: 'info',
    otelEndpoint: undefined,
  })
})

test('empty values count as unset, as compose passes them', () => {
  expect(readConfig({ PORT: '', REDIS_URL: '  ', SANDBOX: '' })).toEqual(readConfig({}))
})

test('production closes the sandbox unless it is asked for', () => {
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

test('a service needs a database', () => {
  expect(() => readServiceConfig({})).toThrow(/DATABASE_URL must be set/)
})

test('.env.example documents every variable that is read, all commented out', () => {
  const file = readFileSync(path.resolve(import.meta.dirname, '../../../../.env.example'), 'utf8')
  const documented = [...file.matchAll(/^# ?([A-Z_]+)=/gm)].map(([, name]) => name)
  expect(documented).toEqual([...variables])
  expect(file.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([])
})

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    return (error as ConfigError).problems
  }
}
