// Packaging tests are slow: they run if their inputs have changed since they passed, and in CI always.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { root } from './process.mjs'

/** Each test with the files and folders that it depends on. */
const PACKAGING_TESTS = {
  'packages/webhooks/src/package.test.ts': [
    'packages/webhooks',
    '.npmrc',
    'package.json',
    'package-lock.json',
    'tsconfig.base.json',
    'LICENSE',
  ],
  'tools/docker.e2e.test.ts': [
    'Dockerfile.api',
    'Dockerfile.worker',
    '.dockerignore',
    '.npmrc',
    'docker-compose.yml',
    'docker-compose.prod.yml',
    'package.json',
    'package-lock.json',
    'tsconfig.base.json',
    'tsconfig.json',
    'prisma.config.ts',
    'prisma',
    'tools',
    'packages',
    'apps',
  ],
}

const stampOf = (test) => path.join(root, 'node_modules', '.cache', 'sluice-tests', test.replaceAll('/', '_'))

/** The state of each packaging test's inputs, to be read before the tests run. @returns {Map<string, string>} */
export function packagingKeys() {
  const docker = dockerResponds()
  return new Map(Object.keys(PACKAGING_TESTS).map((test) => [test, keyOf(test, docker)]))
}

/** With an engine the tests also build the images. */
const dockerResponds = () => spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 20_000 }).status === 0

/** The packaging tests whose inputs have not changed since they passed. None in CI. */
export function unchangedPackagingTests(keys) {
  if (process.env.CI && process.env.CI !== 'false') return []
  return [...keys].filter(([test, key]) => readText(stampOf(test)) === key).map(([test]) => test)
}

/** Stores the keys of the packaging tests that passed. `passed` has paths from the repository's root. */
export function rememberPackagingTests(keys, passed) {
  for (const [test, key] of [...keys].filter(([test]) => passed.includes(test))) {
    const stamp = stampOf(test)
    mkdirSync(path.dirname(stamp), { recursive: true })
    writeFileSync(stamp, key)
  }
}

function keyOf(test, docker) {
  const hash = createHash('sha256').update(`${process.version} ${docker}`)
  for (const file of [test, ...PACKAGING_TESTS[test].flatMap(filesOf)]) {
    hash.update(`\0${file}\0`).update(readText(path.join(root, file)) ?? '')
  }
  return hash.digest('hex')
}

const NOT_INPUTS = ['node_modules', 'dist', 'generated']

/** A file itself, or the sources below a folder, in the same order on every machine. */
function filesOf(name) {
  const entries = entriesOf(path.join(root, name))
  if (entries === undefined) return [name]
  return entries
    .filter((entry) => !NOT_INPUTS.includes(entry) && !/\.test\.tsx?$/.test(entry))
    .sort()
    .flatMap((entry) => filesOf(`${name}/${entry}`))
}

const orUndefined = (read, missing) => {
  try {
    return read()
  } catch (error) {
    if (missing.includes(error.code)) return undefined
    throw error
  }
}
const entriesOf = (folder) => orUndefined(() => readdirSync(folder), ['ENOENT', 'ENOTDIR'])
const readText = (file) => orUndefined(() => readFileSync(file, 'utf8'), ['ENOENT'])
