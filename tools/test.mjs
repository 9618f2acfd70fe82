// `npm test`: sets the clone up, runs vitest with the arguments given, and ends with the slowest files and the totals.
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { packagingKeys, rememberPackagingTests, unchangedPackagingTests } from './packaging-tests.mjs'
import { bin, main, root, runVisibly, Stopped, stopOnSignals } from './process.mjs'
import { setup } from './setup.mjs'

const SLOWEST = 15

/** @returns {Promise<number>} vitest's exit code */
export async function test({ args = [], stop }) {
  await setup({ stop })
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-test-'))
  const report = path.join(folder, 'report.json')
  const times = path.join(folder, 'times.json')
  // Tests that arguments name always run, also without changes.
  const keys = packagingKeys()
  const leftOut = args.length === 0 ? unchangedPackagingTests(keys) : []
  try {
    const timing = path.join(import.meta.dirname, 'timing-reporter.mjs')
    const reporters = ['default', 'json', timing].map((name) => `--reporter=${name}`)
    // Tests set their own environment, so a NODE_ENV of the caller must not reach them.
    const env = { NODE_ENV: 'test', SLUICE_TEST_TIMES: times, SLUICE_TEST_LEAVE_OUT: leftOut.join(',') }
    const options = ['run', ...reporters, `--outputFile.json=${report}`, ...args]
    const code = await runVisibly(bin('vitest'), options, { env, stop })
    if (stop?.aborted) throw new Stopped()
    const results = readJson(report)?.testResults ?? []
    const passed = results.filter(hasPassed).map(({ name }) => path.relative(root, name))
    rememberPackagingTests(keys, passed)
    printSlowest(readJson(times) ?? [])
    if (leftOut.length > 0) {
      console.log(
        `Not run, because their inputs have not changed since they passed (CI=1 runs them): ${leftOut.join(', ')}`,
      )
    }
    console.log(totals(results, code))
    return code
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function printSlowest(times) {
  const slowest = times.sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST)
  if (slowest.length < 2) return
  console.log(`The ${slowest.length} slowest files, in seconds:`)
  for (const { file, seconds } of slowest) console.log(`${seconds.toFixed(1).padStart(7)}  ${file}`)
}

/** A file all of whose tests ran and passed. */
const hasPassed = ({ status, assertionResults }) =>
  status === 'passed' && assertionResults.every((test) => test.status === 'passed')

/** A file that fails before its first test counts as one failure, and so does a run that fails without any. */
function totals(results, code) {
  let passed = 0
  let failed = 0
  let skipped = 0
  for (const { status, assertionResults } of results) {
    const count = (...statuses) => assertionResults.filter((test) => statuses.includes(test.status)).length
    passed += count('passed')
    skipped += count('pending', 'skipped', 'todo')
    failed += Math.max(count('failed'), status === 'failed' ? 1 : 0)
  }
  if (code !== 0 && failed === 0) failed = 1
  return `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`
}

/** Undefined without a report: vitest ended before it could write one, and has said why. */
function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

if (realpathSync(process.argv[1]) === import.meta.filename) {
  const { stop } = stopOnSignals()
  await main(() => test({ args: process.argv.slice(2), stop }))
}
