// `node tools/run.mjs <built file> [arguments]`: sets the clone up if needed, reads .env, then runs that file in this process.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { main, root, stopOnSignals, ToolError } from './process.mjs'
import { setup } from './setup.mjs'

await main(async () => {
  const [file, ...args] = process.argv.slice(2)
  if (!file) throw new ToolError('Usage: node tools/run.mjs <built file> [arguments]')
  const { stop, release } = stopOnSignals()
  await setup({ stop })
  release() // the program's own handlers, or none, decide about signals
  const script = path.resolve(root, file)
  const dotEnv = path.join(root, '.env')
  if (existsSync(dotEnv)) process.loadEnvFile(dotEnv) // never overrides what is set
  process.argv = [process.argv[0], script, ...args]
  process.setSourceMapsEnabled(true)
  await import(script)
  return process.exitCode
})
