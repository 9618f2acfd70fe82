// `npm run bench [-- scenarios…]`: measures Sluice with servers of its own, prints tables and keeps a JSON file.
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hasRedis, startRedis, type TestRedis } from '@sluice/testing'
import { isDurable, startDatabaseServer } from './database.ts'
import { Janitor } from './janitor.ts'
import { generators, startLoadGenerator } from './load/generator-process.ts'
import { type BenchCommand, HELP, isUsageError, parseBenchCommand } from './options.ts'
import { formatTable, machine, writeResults } from './report.ts'
import { type Context, PROCESSING_DELAY_MS } from './scenario.ts'
import { steady } from './scenarios/steady.ts'
import { systemSettings } from './system.ts'

async function main(): Promise<number> {
  const command = parseBenchCommand(process.argv.slice(2))
  if (command === undefined) {
    console.log(HELP)
    return 0
  }
  const startedAt = new Date()
  const folder = temporaryFolder()
  janitor.defer(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  const databaseServer = await startDatabaseServer(janitor, folder)
  const redis = hasRedis ? await startOwnRedis() : undefined
  const generator = await startLoadGenerator(janitor)
  const profileDir = command.profile ? join('bench', 'results', `profiles-${startedAt.getTime()}`) : undefined

  const about = {
    machine: machine(),
    postgres: databaseServer.settings,
    system: systemSettings(PROCESSING_DELAY_MS),
    generators,
  }
  for (const [title, facts] of Object.entries(about)) console.log(`${title}: ${listed(facts)}`)
  if (!isDurable(databaseServer.settings))
    throw new Error('PostgreSQL runs without fsync, full_page_writes or synchronous_commit. Expected all on.')
  if (redis === undefined)
    console.log('redis-server is not on the PATH: the benchmark measures the PostgreSQL queue only')

  const environment = { janitor, databaseServer, redis, profileDir }
  const { results, problems } = await runScenarios(command, { environment, generator })
  const { options } = command
  const file = writeResults(
    { startedAt, endedAt: new Date(), ...about, options, results, problems },
    startedAt,
  )
  console.log(`Results: ${file}`)
  for (const problem of problems) console.error(`PROBLEM  ${problem}`)
  return problems.length === 0 ? 0 : 1
}

async function runScenarios(
  { chosen, options }: BenchCommand,
  { environment, generator }: Pick<Context, 'environment' | 'generator'>,
): Promise<{ results: Record<string, unknown>; problems: string[] }> {
  const results: Record<string, unknown> = {}
  const problems: string[] = []
  for (const scenario of chosen) {
    if (scenario === steady && environment.redis === undefined) continue // steady measures Redis
    const print = (line: string) => console.log(`${scenario.name}  ${line}`)
    const outcome = await scenario.run({ environment, generator, options, print })
    for (const table of outcome.tables) console.log(formatTable(table))
    console.log()
    results[scenario.name] = outcome.data
    problems.push(...outcome.problems)
  }
  return { results, problems }
}

async function startOwnRedis(): Promise<TestRedis> {
  const starting = startRedis()
  janitor.defer(async () => (await starting.catch(() => undefined))?.remove())
  return starting
}

/** On disk: /tmp may be in memory, where fsync costs nothing and the numbers would be too good. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(existsSync('/var/tmp') ? '/var/tmp' : tmpdir(), 'sluice-bench-'))
  chmodSync(folder, 0o755) // when root starts the benchmark, PostgreSQL runs as another user
  return folder
}

const listed = (facts: object) =>
  Object.entries(facts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')

const janitor = new Janitor()
let interrupted = false
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    interrupted = true
    console.error(`\n${signal}: stopping all processes of the benchmark`)
    void janitor.clean().then(() => process.exit(code))
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!interrupted) console.error(isUsageError(error) ? `${error.message}\n\n${HELP}` : error)
  process.exitCode = 1
} finally {
  await janitor.clean()
}
process.exit()
