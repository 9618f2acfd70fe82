// The package that merchants install: packed from a clone that was never built, and installed without a network.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

const root = path.resolve(import.meta.dirname, '../../..')
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-webhooks-'))
const clone = path.join(folder, 'clone')
const app = path.join(folder, 'app')
const installed = path.join(app, 'node_modules/@sluice/webhooks')
const { version } = JSON.parse(readFileSync(path.join(root, 'packages/webhooks/package.json'), 'utf8'))
const TARBALL = `sluice-webhooks-${version}.tgz`
// The tests wait for other programs.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

function run(cwd: string, command: string, ...args: string[]): string {
  // Without the variables that npm sets for the tests' own scripts.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$/.test(name)),
  )
  return execFileSync(command, args, {
    cwd,
    env: {
      ...env,
      npm_config_offline: 'true',
      npm_config_audit: 'false',
      npm_config_cache: path.join(folder, 'cache'),
    },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

beforeAll(() => {
  mkdirSync(clone)
  for (const name of ['package.json', 'tsconfig.base.json'])
    cpSync(path.join(root, name), path.join(clone, name))
  cpSync(path.join(root, 'packages/webhooks'), path.join(clone, 'packages/webhooks'), {
    recursive: true,
    filter: (source) => !['dist', 'node_modules'].includes(path.basename(source)),
  })
  symlinkSync(path.join(root, 'node_modules'), path.join(clone, 'node_modules'), 'junction')
  run(clone, 'npm', 'pack', '-w', 'packages/webhooks', '--pack-destination', folder)
  mkdirSync(app)
  writeFileSync(path.join(app, 'package.json'), '{ "type": "module" }')
  run(app, 'npm', 'install', path.join(folder, TARBALL))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const secret = `whsec_${randomBytes(32).toString('base64')}`
const body = '{"event":"payment.success","timestamp":1705315870,"data":{"payment":{"id":"pay_1"}}}'
const signed = () => {
  const at = new Date()
  return {
    'webhook-id': 'a delivery',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign('a delivery', at, body),
  }
}

test('it contains code with types and sources, the README and the licence, and nothing else', () => {
  const files = readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) =>
      path.relative(installed, path.join(parentPath, name)).replaceAll(path.sep, '/'),
    )
  const modules = ['error', 'events', 'index', 'verify']
  const built = modules.flatMap((name) =>
    ['.d.ts', '.d.ts.map', '.js', '.js.map'].map((end) => `dist/${name}${end}`),
  )
  const sources = modules.map((name) => `src/${name}.ts`)
  expect(files.sort()).toEqual(['LICENSE', 'README.md', ...built, 'package.json', ...sources].sort())
  expect(readFileSync(path.join(installed, 'LICENSE'), 'utf8')).toBe(
    readFileSync(path.join(root, 'LICENSE'), 'utf8'),
  )
  expect(readFileSync(path.join(installed, 'README.md'), 'utf8')).toContain(`npm install ./${TARBALL}`)
  // No dependency was installed.
  expect(readdirSync(path.join(app, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual([
    '@sluice',
  ])
})

test.each([
  ['import', "import { verify } from '@sluice/webhooks'", 'module'],
  ['require', "const { verify } = require('@sluice/webhooks')", 'commonjs'],
])('plain Node can verify with it, by %s', (_way, load, type) => {
  const code = `${load}
    const [body, headers, secret] = JSON.parse(process.argv[1])
    const codeOf = (text) => { try { return verify(text, headers, secret).event } catch (error) { return error.code } }
    console.log(JSON.stringify([codeOf(body), codeOf(body + ' ')]))`
  const input = JSON.stringify([body, signed(), secret])
  const output = run(app, process.execPath, '--no-warnings', `--input-type=${type}`, '-e', code, input)
  expect(JSON.parse(output)).toEqual(['payment.success', 'no_match'])
})

test('TypeScript resolves its types without the types of Node', () => {
  writeFileSync(
    path.join(app, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { module: 'nodenext', target: 'es2022', strict: true, noEmit: true, types: [] },
      files: ['shop.ts'],
    }),
  )
  const shop = (field: string) => `
    import { verify, WebhookVerificationError } from '@sluice/webhooks'
    export function take(body: Uint8Array, headers: Headers, secret: string): string {
      const event = verify(body, headers, secret)
      return event.event === 'payment.success' ? event.data.payment.${field} : event.name
    }
    export const isRefused = (error: unknown) =>
      error instanceof WebhookVerificationError && error.code === 'no_match'`
  const check = () =>
    run(app, process.execPath, path.join(root, 'node_modules/typescript/bin/tsc'), '-p', app)
  writeFileSync(path.join(app, 'shop.ts'), shop('order_id'))
  expect(check()).toBe('')
  writeFileSync(path.join(app, 'shop.ts'), shop('no_such_field'))
  expect(check).toThrow(/failed/)
})
