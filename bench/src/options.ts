// The command line of `npm run bench`: scenarios, options, and the help text.
import { parseArgs } from 'node:util'
import { hasRedis } from '@sluice/testing'
import type { Options, Scenario } from './scenario.ts'
import { gateway } from './scenarios/gateway.ts'
import { inflight } from './scenarios/inflight.ts'
import { ingest } from './scenarios/ingest.ts'
import { payments } from './scenarios/payments.ts'
import { steady } from './scenarios/steady.ts'
import { webhooks } from './scenarios/webhooks.ts'
import { worker } from './scenarios/worker.ts'
import type { BenchBackend } from './system.ts'

const scenarios: readonly Scenario[] = [ingest, payments, steady, inflight, worker, gateway, webhooks]

export const HELP = `npm run bench [-- scenario…] [options]

Scenarios (default: all):
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
API and worker inherit LOG_LEVEL (here: warn), WORKER_CONCURRENCY, DISPATCH_INTERVAL_MS and NODE_OPTIONS.`

export type BenchCommand = { chosen: readonly Scenario[]; options: Options; profile: boolean }

/** Undefined when the command asks for help. */
export function parseBenchCommand(args: string[]): BenchCommand | undefined {
  const { values, positionals } = parseArgs({
    args,
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
  if (values.help) return undefined
  return {
    chosen: positionals.length === 0 ? scenarios : positionals.map(scenarioNamed),
    profile: values.profile,
    options: {
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
    },
  }
}

function scenarioNamed(name: string): Scenario {
  const scenario = scenarios.find((candidate) => candidate.name === name)
  if (scenario) return scenario
  throw new UsageError(
    `Unknown scenario "${name}". Expected one of ${scenarios.map((one) => one.name).join(', ')}.`,
  )
}

function backendNamed(name: string): BenchBackend {
  if (name === 'redis' || name === 'postgres') return name
  throw new UsageError(`--backends: "${name}" is not a backend. Expected redis or postgres.`)
}

function positive(text: string, option: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0) return number
  throw new UsageError(`--${option}: "${text}" is not valid. Expected a whole number above 0.`)
}

class UsageError extends Error {}

/** A mistake in the command line, as opposed to a failed benchmark. */
export const isUsageError = (error: unknown): error is Error =>
  error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true
