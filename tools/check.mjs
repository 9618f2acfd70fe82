// `npm run check`: format, lint, types, dead code, house rules and tests, in this order; stops at the first that fails.
import { bin, main, runVisibly, Stopped, stopOnSignals, ToolError } from './process.mjs'
import { setup } from './setup.mjs'
import { test } from './test.mjs'

const steps = [
  ['format and lint', 'biome', ['check', '.']],
  ['types', 'tsc', ['-b']],
  ['types of the pages', 'tsc', ['-p', 'apps/dashboard']],
  ['types of tests and tools', 'tsc', ['-p', 'tsconfig.tests.json']],
  ['dead code', 'knip', []],
  ['house rules', 'node', ['tools/house-report.mjs', '--strict']],
]

await main(async () => {
  const { stop } = stopOnSignals()
  await setup({ stop })
  for (const [what, command, args] of steps) {
    console.log(`Checking ${what} …`)
    const code = await runVisibly(command === 'node' ? process.execPath : bin(command), args, { stop })
    if (stop.aborted) throw new Stopped()
    if (code !== 0) throw new ToolError(`The check of ${what} failed (${command}, exit code ${code}).`)
  }
  return test({ args: process.argv.slice(2), stop })
})
