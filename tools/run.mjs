// Sets the clone up if needed, reads .env, then runs a built file in this process.
//
//   node tools/run.mjs [--database] <built file> [arguments]
import { existsSync } from 'node:fs'
import path from 'node:path'
import { main, root, stopOnSignals, ToolError } from './process.mjs'
import { setup } from './setup.mjs'

await main(async () => {
  const given = process.argv.slice(2)
  const needsDatabase = given[0] === '--database'
  const [file, ...args] = needsDatabase ? given.slice(1) : given
  if (!file) throw new ToolError('Usage: node tools/run.mjs [--database] <built file> [arguments]')
  const { stop, release } = stopOnSignals()
  await setup({ stop })
  release() // the program handles signals itself
  const script = path.resolve(root, file)
  const dotEnv = path.join(root, '.env')
  if (existsSync(dotEnv)) process.loadEnvFile(dotEnv) // never overrides variables that are set
  if (needsDatabase && !args.includes('--help')) process.env.DATABASE_URL ||= await runningDatabase()
  process.argv = [process.argv[0], script, ...args]
  process.setSourceMapsEnabled(true)
  await import(script)
  return process.exitCode
})

/** The database URL of the system that `npm start` runs from this clone, so that operators need not set it. */
async function runningDatabase() {
  const { defaultDataDir, urlOfRunningServer } = await import('../packages/embedded-postgres/dist/index.js')
  const { DATA_DIR } = process.env
  const url = urlOfRunningServer(DATA_DIR ? path.resolve(root, DATA_DIR) : defaultDataDir(root))
  if (url) return url
  throw new ToolError(
    'There is no database: set DATABASE_URL, or run npm start in another terminal to use its database.',
  )
}
