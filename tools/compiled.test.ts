// No build compiles, and no image contains, a test, a fixture or the package of test tools.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

const root = path.resolve(import.meta.dirname, '..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const configs = execFileSync('git', ['ls-files', '*/tsconfig.json'], { cwd: root, encoding: 'utf8' })
  .trim()
  .split('\n')
  // Vite builds the pages, from the imports of their main.tsx.
  .filter((file) => file !== 'apps/dashboard/tsconfig.json')

test.each(configs)('%s compiles no test or fixture', (file) => {
  expect(JSON.parse(read(file)).exclude).toEqual(['src/**/*.test.ts', 'src/**/*.fixture.ts'])
})

test.each(configs.filter((file) => file.startsWith('apps/')))('%s does not need the test tools', (file) => {
  expect(JSON.parse(read(file)).references ?? []).not.toContainEqual({ path: '../../packages/testing' })
})

test.each(['**/*.test.ts', '**/*.fixture.ts', 'packages/testing'])('%s is in no image', (pattern) => {
  expect(read('.dockerignore').split('\n')).toContain(pattern)
})

test.each(['Dockerfile.api', 'Dockerfile.worker'])('%s copies nothing of the test tools', (file) => {
  expect(read(file)).not.toContain('packages/testing')
})
