// The first minute of `npm start`: the printed commands work, and a transaction is processed 30 s after its 202.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { createClient } from '@sluice/contracts'
import { openShop } from '@sluice/testing'
import { afterAll, afterEach, expect, test } from 'vitest'
import { Launched, until } from './launched.fixture.ts'

const root = path.resolve(import.meta.dirname, '../../..')
const dataDir = mkdtempSync(path.join(os.tmpdir(), 'sluice-e2e-'))
const launched: Launched[] = []
afterEach(async () => {
  for (const { child } of launched) child.kill('SIGTERM')
  await Promise.all(launched.map(({ exited }) => exited))
})
afterAll(() => rmSync(dataDir, { recursive: true }))

function launch(env: NodeJS.ProcessEnv = {}): Launched {
  const started = new Launched({ DATA_DIR: dataDir, ...env })
  launched.push(started)
  return started
}

test('in the first minute the printed commands work, and a transaction is PROCESSED within a second of 30 s after its 202', async () => {
  const sluice = launch({ PROCESSING_DELAY_MIN: '0', PROCESSING_DELAY_MAX: '0' })
  const url = await sluice.running()
  const [, postUrl, body] =
    /curl -i (\S+\/v1\/webhooks\/transactions) -H 'content-type: application\/json' -d '(.*)'/.exec(
      sluice.output,
    )!
  const readUrl = /^ {2}curl (\S+\/v1\/transactions\/\S+)$/m.exec(sluice.output)![1]!
  expect(postUrl!.startsWith(url)).toBe(true)
  const headers = { 'content-type': 'application/json' }
  const post = (text: string) => fetch(postUrl!, { method: 'POST', headers, body: text })
  // The first request to a process takes longer, so it is not measured.
  expect((await post(JSON.stringify({ ...JSON.parse(body!), transaction_id: 'first' }))).status).toBe(202)
  const startedAt = Date.now()
  expect((await post(body!)).status).toBe(202)
  expect(Date.now() - startedAt).toBeLessThan(1000)
  const read = async () =>
    (await (await fetch(readUrl)).json()) as { status: string; created_at: string; processed_at: string }
  expect(await read()).toMatchObject({ status: 'PROCESSING', processed_at: null })

  await expectPaidOrder(sluice, url)
  await expectTools(sluice)
  await expectSecondStartRefused(sluice, url)

  await until(async () => (await read()).status === 'PROCESSED', 35_000)
  const { created_at, processed_at } = await read()
  const lateMs = Date.parse(processed_at) - Date.parse(created_at) - 30_000
  expect(lateMs).toBeGreaterThanOrEqual(0)
  expect(lateMs).toBeLessThan(1000)

  sluice.child.kill('SIGTERM')
  await sluice.exited
  await expect(runTool('verify')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('npm start in another terminal'),
  })
}, 240_000)

/** Pays an order with the printed keys. */
async function expectPaidOrder(sluice: Launched, url: string): Promise<void> {
  const [, , key, secret] = merchantLine.exec(sluice.output)!
  const shop = openShop(createClient(url), { 'x-api-key': key!, 'x-api-secret': secret! })
  expect(await shop.paid(50_000)).toMatchObject({ status: 'success', amount: 50_000 })
}
const merchantLine = /Merchant +(\S+), X-Api-Key: (\S+), X-Api-Secret: (\S+)$/m

/** Runs the operator's tools, which find the database. */
async function expectTools(sluice: Launched): Promise<void> {
  const [, email] = merchantLine.exec(sluice.output)!
  expect((await runTool('merchant', 'list')).stdout).toContain(email)
  expect((await runTool('verify')).stdout).toContain('All invariants hold.')
}

const runTool = (script: string, ...args: string[]) =>
  promisify(execFile)(
    process.execPath,
    ['tools/run.mjs', '--database', `packages/core/dist/${script}.js`, ...args],
    { cwd: root, env: { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIR: dataDir } },
  )

/** Starts Sluice again on the same data: the error names the owner in one line, and the owner keeps running. */
async function expectSecondStartRefused(sluice: Launched, url: string): Promise<void> {
  const second = launch()
  expect(await second.exited).toBe(1)
  expect(second.output.trim()).toMatch(
    new RegExp(`^Sluice already runs on this data: process ${sluice.pid} at ${url}, since [^\n]*$`),
  )
  expect((await fetch(`${url}/health`)).status).toBe(200)
}
