// Installs, generates and builds a fresh clone; a second run has nothing to do. Uses Node built-ins only.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { withLock } from './lock.mjs'
import { bin, main, progress, root, runQuietly, stopOnSignals, ToolError } from './process.mjs'

const at = (...names) => path.join(root, ...names)
const INSTALL_STAMP = at('node_modules', '.sluice-installed')
const GENERATED = at('packages', 'core', 'src', 'generated')
const GENERATE_STAMP = path.join(GENERATED, '.stamp')

/**
 * @param {{ quiet?: boolean, stop?: AbortSignal }} options `quiet` prints nothing unless a step fails
 * @throws ToolError with the output of the program that failed; Stopped
 */
export async function setup({ quiet = false, stop } = {}) {
  checkNode()
  const say = quiet ? undefined : progress()
  const waiting = () => console.error('Another set-up of this clone is running; waiting for it …')
  await withLock(at('.setup.lock'), { stop, waiting }, async (onSpawn) => {
    const options = { stop, say, onSpawn }
    if (!isInstalled()) await install(options)
    if (!isGenerated()) await generate(options)
    await build(options)
    if (!isDashboardBuilt()) await buildDashboard(options)
  })
}

/** The ranges of package.json's `engines`, spelt out: semver isn't installed yet. */
function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if ((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major >= 24) return
  const { engines } = readJson(at('package.json'))
  throw new ToolError(`Sluice needs Node ${engines.node}; this is Node ${process.versions.node}.`)
}

/** The stamp proves a complete installation. The check of each package's folder proves that none was removed later. */
function isInstalled() {
  if (readText(INSTALL_STAMP) !== installKey()) return false
  const { packages } = readJson(at('package-lock.json'))
  return Object.entries(packages).every(
    ([folder, { optional, link }]) =>
      !folder.includes('node_modules/') || optional || link || existsSync(at(folder, 'package.json')),
  )
}

async function install(options) {
  rmSync(INSTALL_STAMP, { force: true })
  // --include=dev: the build needs its tools with NODE_ENV=production too. `npm ci` removes node_modules first, which also
  // repairs an interrupted installation.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = process.env.npm_execpath
  const [command, first] = npm?.endsWith('npm-cli.js') ? [process.execPath, [npm]] : ['npm', []]
  await runQuietly(
    'Installing packages (the first time takes a minute)',
    command,
    [...first, ...args],
    options,
  )
  writeFileSync(INSTALL_STAMP, installKey())
}

const installKey = () =>
  hash(readText(at('package-lock.json')), process.platform, process.arch, process.versions.modules)

const isGenerated = () => readText(GENERATE_STAMP) === generateKey()

async function generate(options) {
  rmSync(GENERATE_STAMP, { force: true })
  const env = { CHECKPOINT_DISABLE: '1', PRISMA_HIDE_UPDATE_MESSAGE: '1' }
  await runQuietly('Generating the database client', bin('prisma'), ['generate'], { ...options, env })
  writeFileSync(GENERATE_STAMP, generateKey())
}

const generateKey = () => hash(readText(at('prisma', 'schema.prisma')), readText(at('package-lock.json')))

/** tsc -b is incremental: without changes it takes a third of a second, so only a first build shows progress. */
async function build({ say, ...options }) {
  const first = !existsSync(at('apps', 'launcher', 'dist'))
  await runQuietly('Building', bin('tsc'), ['-b'], first ? { ...options, say } : options)
}

const DASHBOARD = at('apps', 'dashboard')
/** The stamp is among the built files, which Vite clears first: an interrupted build leaves no stamp. */
const DASHBOARD_STAMP = path.join(DASHBOARD, 'dist', '.stamp')

const isDashboardBuilt = () => readText(DASHBOARD_STAMP) === dashboardKey()

async function buildDashboard(options) {
  const key = dashboardKey() // of the sources now: later changes are built the next time
  const env = { NODE_ENV: 'production' } // React is slower in development
  await runQuietly('Building the dashboard', bin('vite'), ['build', DASHBOARD], { ...options, env })
  writeFileSync(DASHBOARD_STAMP, key)
}

const dashboardKey = () =>
  hash(
    ...[...filesBelow(DASHBOARD), ...filesBelow(at('packages', 'contracts', 'src'))].map((file) => [
      path.relative(root, file),
      readText(file),
    ]),
    readText(at('package-lock.json')),
  )

/** The sources only, in the same order on every machine. */
const filesBelow = (folder) =>
  readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !['dist', 'node_modules'].includes(name) && !/\.(test|fixture)\.tsx?$/.test(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const file = path.join(folder, entry.name)
      return entry.isDirectory() ? filesBelow(file) : [file]
    })

const hash = (...parts) => createHash('sha256').update(JSON.stringify(parts)).digest('hex')
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'))

function readText(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

if (realpathSync(process.argv[1]) === import.meta.filename) {
  const { stop } = stopOnSignals()
  await main(() => setup({ stop }))
}
