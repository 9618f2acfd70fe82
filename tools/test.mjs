// `npm test`: sets the clone up, runs vitest with the arguments given, and ends with the totals in one line.
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { bin, main, runVisibly, Stopped, stopOnSignals } from './process.mjs'
import { setup } from './setup.mjs'

/** @returns {Promise<number>} vitest's exit code */
export async function test({ args = [], stop }) {
  await setup({ stop })
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-test-'))
  const report = path.join(folder, 'report.json')
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    // Tests say themselves what they need of the environment; NODE_ENV=production is a production matter.
    const env = { NODE_ENV: 'test' }
    const code = await runVisibly(bin('vitest'), ['run', ...reporters, ...args], { env, stop })
    if (stop?.aborted) throw new Stopped()
    console.log(totals(report, code))
    return code
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A file that fails before its first test counts as one failure, and so does a run that fails without any. */
function totals(report, code) {
  let passed = 0
  let failed = 0
  let skipped = 0
  try {
    for (const { status, assertionResults } of JSON.parse(readFileSync(report, 'utf8')).testResults) {
      const count = (...statuses) => assertionResults.filter((test) => statuses.includes(test.status)).length
      passed += count('passed')
      skipped += count('pending', 'skipped', 'todo')
      failed += Math.max(count('failed'), status === 'failed' ? 1 : 0)
    }
  } catch {
    // No report: vitest ended before it could write one, and has said why.
  }
  if (code !== 0 && failed === 0) failed = 1
  return `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`
}

if (realpathSync(process.argv[1]) === import.meta.filename) {
  const { stop } = stopOnSignals()
  await main(() => test({ args: process.argv.slice(2), stop }))
}
