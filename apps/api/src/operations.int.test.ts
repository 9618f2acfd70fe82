// Health, metrics, OpenAPI and the durability settings, on a running system.
import { getApiHealth, getHealth, getLive, getRoot } from '@sluice/contracts'
import {
  startPostgres,
  startSystem,
  type TestSystem,
  transactionBody,
  untilKnown,
  waitFor,
} from '@sluice/testing'
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'

let system: TestSystem
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl') })
})
afterAll(() => system?.stop())

test('the root returns HEALTHY and the time', async () => {
  const { status, body } = await system.call(getRoot)
  expect(status).toBe(200)
  expect(body).toEqual({ status: 'HEALTHY', current_time: expect.stringMatching(/^\d{4}-.*Z$/) })
  expect((await system.call(getLive)).body).toEqual({ status: 'live' })
})

test('health reports database, queue and worker, and a killed worker as stopped within 15 s', async () => {
  const expected = { database: 'connected', redis: 'not_configured', timestamp: expect.any(String) }
  for (const contract of [getHealth, getApiHealth]) {
    const health = await waitFor('the worker to be reported as running', async () => {
      const { status, body } = await system.call(contract)
      return 'worker' in body && body.worker === 'running' ? { status, body } : undefined
    })
    expect(health).toMatchObject({ status: 200, body: { ...expected, status: 'healthy' } })
  }
  await system.workers[0]!.stop('SIGKILL')
  await waitFor(
    'the worker to be reported as stopped',
    async () => {
      const { status, body } = await system.call(getHealth)
      expect(status).toBe(200)
      return 'worker' in body && body.worker === 'stopped' && body.status === 'degraded'
    },
    { timeoutMs: 15_000, intervalMs: 250 },
  )
  const worker = await system.startWorker()
  await waitFor('the new worker to be reported as running', async () => {
    const { body } = await system.call(getHealth)
    return 'worker' in body && body.worker === 'running'
  })
  await worker.stop()
  await waitFor(
    'a worker that stopped by SIGTERM to be reported at once',
    async () => {
      const { body } = await system.call(getHealth)
      return 'worker' in body && body.worker === 'stopped'
    },
    { timeoutMs: 2000 },
  )
})

test('metrics count requests, commits and jobs', async () => {
  await untilKnown(() =>
    fetch(`${system.api.url}/v1/webhooks/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(transactionBody('txn_metrics')),
    }),
  )
  const text = await (await fetch(`${system.api.url}/metrics`)).text()
  expect(text).toMatch(
    /sluice_http_request_duration_seconds_count\{method="POST",route="\/v1\/webhooks\/transactions",status="202"\} 1/,
  )
  expect(text).toMatch(/sluice_ingest_batch_rows_count\{kind="transaction"\} [1-9]/)
  expect(text).toContain('process_cpu_user_seconds_total')
})

test('the API serves OpenAPI 3.1 and a page that shows it', async () => {
  const response = await fetch(`${system.api.url}/openapi.json`)
  const document = (await response.json()) as OpenApi
  expect(document.openapi).toBe('3.1.0')
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining([
      '/',
      '/health',
      '/v1/webhooks/transactions',
      '/v1/transactions/{transaction_id}',
    ]),
  )
  const responses = document.paths['/v1/webhooks/transactions']?.post?.responses
  expect(Object.keys(responses ?? {}).sort()).toEqual(['202', '400', '401', '413', '415', '500', '503'])
  const page = await fetch(`${system.api.url}/docs`)
  expect(page.status).toBe(200)
  expect(page.headers.get('content-type')).toContain('text/html')
})

test('the embedded server is durable: fsync, full_page_writes and synchronous_commit are on', async () => {
  const server = await startPostgres()
  onTestFinished(server.drop)
  for (const setting of ['fsync', 'full_page_writes', 'synchronous_commit']) {
    const [row] = await server.query<Record<string, string>>(`SHOW ${setting}`)
    expect(row).toEqual({ [setting]: 'on' })
  }
})

test('no role or database turns these settings off, so the API commits synchronously', async () => {
  const rows = await system.database.query<{ setconfig: string[] }>(
    'SELECT setconfig FROM pg_db_role_setting',
  )
  expect(rows).toEqual([])
})

interface OpenApi {
  openapi: string
  paths: Record<string, { post?: { responses: Record<string, unknown> } }>
}
