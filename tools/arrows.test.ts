// The linter enforces the directions of imports: each forbidden import fails, each allowed one passes.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = path.resolve(import.meta.dirname, '..')

/** Which folders of core each one may import, through their index.ts. All but platform import platform. */
const arrows: Record<string, string[]> = {
  platform: [],
  merchants: [],
  inbound: [],
  webhooks: ['merchants'],
  orders: ['merchants', 'webhooks'],
  payments: ['merchants', 'webhooks'],
  mail: ['merchants', 'webhooks'],
  transactions: ['inbound', 'merchants', 'webhooks'],
  'payment-events': ['inbound', 'merchants', 'webhooks'],
}
const folders = Object.keys(arrows)
const pairs = folders.flatMap((from) =>
  [...folders, 'verify'].filter((to) => to !== from).map((to) => [from, to] as const),
)
const isAllowed = (from: string, to: string) => to === 'platform' || arrows[from]!.includes(to)
const core = (from: string, name: string) => `packages/core/src/${from}/${name}.ts`

/** Other imports that must fail, by the file that has them. */
const forbidden: [file: string, specifier: string][] = [
  [core('platform', 'to-work'), '../work.ts'],
  [core('orders', 'to-http'), 'fastify'],
  [core('verify', 'to-http'), 'fastify'],
  ['packages/contracts/src/to-node.ts', 'node:fs'],
  ['packages/webhooks/src/to-package.ts', 'undici'],
  ['apps/api/src/to-database.ts', 'pg'],
  ['apps/worker/src/to-queue.ts', 'bullmq'],
  ['apps/pages/src/past-exports.ts', '@sluice/core/dist/platform/config.js'],
  ['apps/dashboard/src/to-core.ts', '@sluice/core/platform'],
]
const allowed: [file: string, specifier: string][] = [
  [core('verify', 'to-webhooks'), '../webhooks/index.ts'],
  [core('orders', 'to-itself'), './orders.ts'],
  [core('orders', 'past-index.int.test'), '../webhooks/signature.ts'],
  ['apps/pages/src/to-entry.ts', '@sluice/core/platform'],
  ['apps/dashboard/src/to-contracts.ts', '@sluice/contracts'],
]

let folder: string
/** The rules that each file breaks. */
const broken = new Map<string, string[]>()

/** One run of the linter, with the repository's configuration, over a folder with only these imports. */
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-arrows-'))
  cpSync(path.join(root, 'biome.json'), path.join(folder, 'biome.json'))
  for (const [from, to] of pairs) {
    writeImport(core(from, `to-${to}`), `../${to}/index.ts`)
    writeImport(core(from, `past-${to}`), `../${to}/inner.ts`)
  }
  for (const [file, specifier] of [...forbidden, ...allowed]) writeImport(file, specifier)
  writeImport(core('orders', 'one'), './two.ts', 'type')
  writeImport(core('orders', 'two'), './one.ts', 'type')
  write('packages/http/package.json', JSON.stringify({ dependencies: { fastify: '5' } }))
  writeImport('packages/http/src/declared.ts', 'fastify')
  writeImport('packages/http/src/undeclared.ts', 'pino')
  for (const { category, location } of lint()) {
    broken.set(location.path, [...(broken.get(location.path) ?? []), category.split('/').pop()!])
  }
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function write(file: string, text: string): void {
  mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
  writeFileSync(path.join(folder, file), text)
}

const writeImport = (file: string, specifier: string, kind: '' | 'type' = '') =>
  write(file, `import ${kind} { it } from '${specifier}'\nexport ${kind} { it }\n`)

interface Diagnostic {
  category: string
  location: { path: string }
}

function lint(): Diagnostic[] {
  const args = ['lint', '--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none', '.']
  const { stdout } = spawnSync(path.join(root, 'node_modules/.bin/biome'), args, {
    cwd: folder,
    encoding: 'utf8',
  })
  return JSON.parse(stdout.slice(stdout.indexOf('{'))).diagnostics
}

const rulesBrokenBy = (file: string) => broken.get(file) ?? []

describe('inside core', () => {
  test.each(pairs)('%s → %s', (from, to) => {
    const verdict = isAllowed(from, to) ? [] : ['noRestrictedImports']
    expect(rulesBrokenBy(core(from, `to-${to}`))).toEqual(verdict)
    const pastIndex = to === 'platform' ? [] : ['noRestrictedImports']
    expect(rulesBrokenBy(core(from, `past-${to}`))).toEqual(pastIndex)
  })
})

test.each(forbidden)('%s must not import %s', (file) => {
  expect(rulesBrokenBy(file)).toContain('noRestrictedImports')
})

test.each(allowed)('%s may import %s', (file) => {
  expect(rulesBrokenBy(file)).not.toContain('noRestrictedImports')
})

test('two files that import each other fail, if only for types', () => {
  expect(rulesBrokenBy(core('orders', 'one'))).toEqual(['noImportCycles'])
  expect(rulesBrokenBy(core('orders', 'two'))).toEqual(['noImportCycles'])
})

test('an import of a package that the workspace does not declare fails', () => {
  expect(rulesBrokenBy('packages/http/src/declared.ts')).toEqual([])
  expect(rulesBrokenBy('packages/http/src/undeclared.ts')).toEqual(['noUndeclaredDependencies'])
})
