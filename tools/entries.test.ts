// The light programs start without the database client, the queue and the webhook client.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { expect, test } from 'vitest'

const root = path.resolve(import.meta.dirname, '..')
const HEAVY = [
  'node_modules/@prisma',
  'node_modules/bullmq',
  'node_modules/ioredis',
  'node_modules/undici',
  'core/dist/generated',
]

/** Prints the URL of each script that the import makes Node compile, whether ES module or CommonJS. */
const probe = (entry: string) => `
  import inspector from 'node:inspector'
  const urls = []
  const session = new inspector.Session()
  session.connect()
  session.on('Debugger.scriptParsed', ({ params }) => urls.push(params.url))
  session.post('Debugger.enable')
  await import(${JSON.stringify(entry)})
  console.log(JSON.stringify(urls))
  process.exit()`

/** The heavy packages that the import of the built entry loads. */
function heavyOf(folder: string, entry: string): string[] {
  const { stdout, stderr, error } = spawnSync(process.execPath, ['--input-type=module', '-e', probe(entry)], {
    cwd: path.join(root, folder),
    encoding: 'utf8',
    timeout: 50_000,
  })
  expect(error).toBeUndefined()
  expect(stderr).toBe('')
  const urls: string[] = JSON.parse(stdout)
  expect(urls.length).toBeGreaterThan(0)
  return HEAVY.filter((name) => urls.some((url) => url.includes(`/${name}/`)))
}

test.each([
  ['packages/core', '@sluice/core/platform'],
  ['packages/http', '@sluice/http'],
  ['apps/pages', './dist/server.js'],
  ['apps/launcher', './dist/main.js'],
  ['apps/receiver', './dist/receiver.js'],
])(
  '%s: %s loads no Prisma, BullMQ, ioredis or undici',
  (folder, entry) => {
    expect(heavyOf(folder, entry)).toEqual([])
  },
  60_000,
)

test('the probe finds all of these packages behind the main entry of core', () => {
  expect(heavyOf('packages/core', '@sluice/core')).toEqual(HEAVY)
}, 60_000)
