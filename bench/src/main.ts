// `npm run bench [-- scenarios…]`: measures Sluice with servers of its own, prints tables and keeps a JSON file.
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { hasRedis, startRedis, type TestRedis } from '@sluice/testing'
import { isDurable, startDatabaseServer } from './database.ts'
import { Janitor } from './janitor.ts'
import { generators, startLoadGenerator } from './load/client.ts'
import { formatTable, machine, writeResults } from './report.ts'
import { type Options, type Outcome, PROCESSING_DELAY_MS, type Scenario } from './scenario.ts'
import { gateway } from './scenarios/gateway.ts'
import { inflight } from './scenarios/inflight.ts'
import { ingest } from './scenarios/ingest.ts'
import { payments } from './scenarios/payments.ts'
import { steady } from './scenarios/steady.ts'
import { webhooks } from './scenarios/webhooks.ts'
import { worker } from './scenarios/worker.ts'
import { type Backend, systemSettings } from './system.ts'

const scenarios: readonly Scenario[] = [ingest, payments, steady, inflight, worker, gateway, webhooks]

const HELP = `npm run bench [-- scenario…] [options]

Scenarios (all, unless named):
${scenarios.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`).join('\n')}

Options:
  --rounds N        rounds of ingest, payments, gateway and webhooks  3
  --connections N   keep-alive connections                      256
  --burst S         seconds of a burst, or of a closed loop     10
  --duration S      seconds of each fixed rate                  steady 120, gateway and webhooks 30
  --rates A,B       fixed rates, requests a second              steady 3000,4000, gateway 200,300, webhooks 200 (takes one)
  --count N         rows of inflight, worker and webhooks       50000, webhooks 10000
  --backends A,B    redis,postgres, or one of them              both, Redis where it is installed
  --profile         writes V8 CPU profiles of API and worker beside the results
LOG_LEVEL (here: warn), WORKER_CONCURRENCY, DISPATCH_INTERVAL_MS and NODE_OPTIONS are handed on to API and worker.`

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '256' },
      burst: { type: 'string', default: '10' },
      duration: { type: 'string' },
      rates: { type: 'string' },
      count: { type: 'string' },
      backends: { type: 'string', default: 'redis,postgres' },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    return 0
  }
  const chosen = positionals.length === 0 ? scenarios : positionals.map(scenarioNamed)
  const options: Options = {
    rounds: positive(values.rounds, 'rounds'),
    connections: positive(values.connections, 'connections'),
    burstSeconds: positive(values.burst, 'burst'),
    steadySeconds: values.duration === undefined ? undefined : positive(values.duration, 'duration'),
    rates: values.rates?.split(',').map((rate) => positive(rate, 'rates')),
    count: values.count === undefined ? undefined : positive(values.count, 'count'),
    backends: values.backends
      .split(',')
      .map(backendNamed)
      .filter((backend) => backend !== 'redis' || hasRedis),
  }

  const startedAt = new Date()
  const folder = temporaryFolder()
  janitor.defer(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  const databaseServer = await startDatabaseServer(janitor, folder)
  const redis = hasRedis ? await startOwnRedis() : undefined
  const generator = await startLoadGenerator(janitor)
  const profileDir = values.profile ? join('bench', 'results', `profiles-${startedAt.getTime()}`) : undefined
  const environment = { janitor, databaseServer, redis, profileDir }

  const about = {
    machine: machine(),
    postgres: databaseServer.settings,
    system: systemSettings(PROCESSING_DELAY_MS),
    generators,
  }
  for (const [title, facts] of Object.entries(about)) console.log(`${title}: ${listed(facts)}`)
  if (!isDurable(databaseServer.settings))
    throw new Error('PostgreSQL is not durable here: the numbers would mean nothing')
  if (redis === undefined)
    console.log('redis-server was not found on the PATH: only the PostgreSQL queue is measured')

  const results: Record<string, unknown> = {}
  const problems: string[] = []
  for (const scenario of chosen) {
    if (scenario === steady && redis === undefined) continue // it is about Redis
    const say = (line: string) => console.log(`${scenario.name}  ${line}`)
    const outcome: Outcome = await scenario.run({ environment, generator, options, say })
    for (const table of outcome.tables) console.log(formatTable(table))
    console.log()
    results[scenario.name] = outcome.data
    problems.push(...outcome.problems)
  }
  const file = writeResults(
    { startedAt, finishedAt: new Date(), ...about, options, results, problems },
    startedAt,
  )
  console.log(`Results: ${file}`)
  for (const problem of problems) console.error(`PROBLEM  ${problem}`)
  return problems.length === 0 ? 0 : 1
}

async function startOwnRedis(): Promise<TestRedis> {
  const starting = startRedis()
  janitor.defer(async () => (await starting.catch(() => undefined))?.remove())
  return starting
}

function scenarioNamed(name: string): Scenario {
  const scenario = scenarios.find((candidate) => candidate.name === name)
  if (!scenario)
    throw new UsageError(
      `There is no scenario "${name}"; there are ${scenarios.map((s) => s.name).join(', ')}`,
    )
  return scenario
}

function backendNamed(name: string): Backend {
  if (name === 'redis' || name === 'postgres') return name
  throw new UsageError(`--backends takes redis and postgres, not "${name}"`)
}

function positive(text: string, option: string): number {
  const number = Number(text)
  if (!(Number.isInteger(number) && number > 0))
    throw new UsageError(`--${option} takes whole numbers above 0, not "${text}"`)
  return number
}

/** On disk: where /tmp is in memory, /var/tmp is not, and an fsync that costs nothing would flatter the numbers. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(existsSync('/var/tmp') ? '/var/tmp' : tmpdir(), 'sluice-bench-'))
  chmodSync(folder, 0o755) // started by root, PostgreSQL runs as somebody else, who must get in
  return folder
}

const listed = (facts: object) =>
  Object.entries(facts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')

class UsageError extends Error {}

const janitor = new Janitor()
let interrupted = false
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    interrupted = true
    console.error(`\n${signal}: stopping what was started`)
    void janitor.clean().then(() => process.exit(code))
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  const usage = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
  if (!interrupted) console.error(usage ? `${(error as Error).message}\n\n${HELP}` : error)
  process.exitCode = 1
} finally {
  await janitor.clean()
}
process.exit()
