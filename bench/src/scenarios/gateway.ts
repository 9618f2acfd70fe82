// The gateway: payments from POST to end, at fixed rates and as fast as they go, with a bank that takes no time.
import { createPayment } from '@sluice/contracts'
import { seededKeys } from '@sluice/testing'
import { runNode, startChild } from '../child.ts'
import { cpuMeter } from '../cpu-meter.ts'
import type { Sql } from '../database.ts'
import { newRun } from '../ids.ts'
import { gatewayLedger, makeOrders } from '../ledger/gateway-payments.ts'
import { checkLedger, readWaits, untilDone } from '../ledger/ledger.ts'
import type { LoadPlan } from '../load/plan.ts'
import { type Context, eachRound, PROCESSING_DELAY_MS, type Scenario } from '../scenario.ts'
import { type BenchBackend, startBenchSystem } from '../system.ts'
import { reportGateway } from './gateway-report.ts'
import type { GatewayRound, LoadOnBare, LoadOnSystem, SystemRound } from './gateway-results.ts'

const DURATION_SECONDS = 30
const RATES = [200, 300]
const CLOSED_CONNECTIONS = 64
const WARM_UP_SECONDS = 2
/** A closed loop sends as many requests as it can: orders for each of its seconds. */
const ORDERS_PER_SECOND_MAX = 5000
const NO_DELAY = { PROCESSING_DELAY_MIN: '0', PROCESSING_DELAY_MAX: '0' }

export const gateway: Scenario = {
  name: 'gateway',
  summary: 'payments of the gateway at 200/s and 300/s, created to final, and as fast as they are accepted',
  async run(context) {
    const rounds = await eachRound(context, measureRound)
    return reportGateway(rounds, context.options.steadySeconds ?? DURATION_SECONDS, CLOSED_CONNECTIONS)
  },
}

async function measureRound(context: Context): Promise<GatewayRound> {
  const bare = await measureBare(context)
  context.print(`bare ${Math.round(bare.load.acknowledgedPerSecond)} req/s`)
  const systems: SystemRound[] = []
  for (const backend of context.options.backends) systems.push(await measureSystem(context, backend, bare))
  return { bare, systems }
}

async function measureBare({ environment, generator, options }: Context): Promise<LoadOnBare> {
  const module = 'bench/dist/bare-server.js'
  const server = await startChild(environment.janitor, { name: 'bare server', module })
  const url = new URL(createPayment.url, server.url).href
  await generator.run(closedPlan(url, newRun(), WARM_UP_SECONDS))
  const cpuSince = cpuMeter({ server: server.pid })
  const load = await Promise.race([
    generator.run(closedPlan(url, newRun(), options.burstSeconds)),
    server.died,
  ])
  const cpuSeconds = cpuSince(load)
  await server.stop()
  return { load, cpuSeconds }
}

async function measureSystem(
  context: Context,
  backend: BenchBackend,
  bare: LoadOnBare,
): Promise<SystemRound> {
  const { environment, options, print } = context
  const { rates = RATES, steadySeconds = DURATION_SECONDS, connections, burstSeconds } = options
  const system = await startBenchSystem(environment, {
    backend,
    processingDelayMs: PROCESSING_DELAY_MS,
    env: NO_DELAY,
  })
  const worker = await system.startWorker()
  const url = new URL(createPayment.url, system.api.url).href
  const { sql } = system.database
  const pids = { server: system.api.pid, worker: worker.pid, postgres: environment.databaseServer.pid }
  const measure = (plan: LoadPlan) =>
    measureLoad(context, { sql, died: [system.api.died, worker.died], pids, plan })

  await measure(closedPlan(url, newRun(), WARM_UP_SECONDS))
  const atRates: SystemRound['atRates'] = []
  for (const rate of rates) {
    const arrivals = { kind: 'open', ratePerSecond: rate, count: rate * steadySeconds, bodies } as const
    const measured = await measure({ url, run: newRun(), connections, headers: seededKeys, arrivals })
    atRates.push({ rate, ...measured })
    print(`${backend}, ${rate}/s: ${describe(measured)}`)
  }
  const measured = await measure(closedPlan(url, newRun(), burstSeconds))
  const ratioToBare = measured.load.acknowledgedPerSecond / bare.load.acknowledgedPerSecond
  print(`${backend}, closed loop: ${describe(measured)}, ${ratioToBare.toFixed(3)} of bare`)
  const verified = await verify(context, system.database.url)
  await system.stop()
  return { backend, atRates, closedLoop: { ...measured, ratioToBare }, verified }
}

const bodies = 'gateway payments'

const closedPlan = (url: string, run: string, seconds: number): LoadPlan => ({
  url,
  run,
  connections: CLOSED_CONNECTIONS,
  headers: seededKeys,
  arrivals: { kind: 'closed', durationMs: seconds * 1000, bodies },
})

type LoadInput = {
  sql: Sql
  died: Promise<never>[]
  pids: { server: number; worker: number; postgres: number }
  plan: LoadPlan
}

/** Makes orders, sends the load, waits until the worker has ended all payments, and checks the ledger. */
async function measureLoad(
  { generator }: Context,
  { sql, died, pids, plan }: LoadInput,
): Promise<LoadOnSystem> {
  const { run, arrivals } = plan
  const orders =
    arrivals.kind === 'open' ? arrivals.count : (arrivals.durationMs / 1000) * ORDERS_PER_SECOND_MAX
  await makeOrders(sql, run, orders)
  const cpuSince = cpuMeter(pids)
  const load = await Promise.race([generator.run(plan), ...died])
  await untilDone(sql, gatewayLedger.work, { died }) // the CPU of a payment is that of its way to the end
  const cpuSeconds = cpuSince(load)
  const ledger = await checkLedger(sql, gatewayLedger, { run, ...load })
  return { load, cpuSeconds, settling: await readWaits(sql, gatewayLedger.work, run), ledger }
}

const describe = ({ load, settling }: LoadOnSystem) =>
  `${Math.round(load.acknowledgedPerSecond)} accepted/s, POST p99 ${load.latencyMs.p99.toFixed(1)} ms, ` +
  `${Math.round(settling.perSecond)} final/s, p99 ${Math.round(settling.p99)} ms`

/** Runs Sluice's own verifier. */
const verify = ({ environment }: Context, url: string): Promise<string> =>
  runNode(environment.janitor, 'packages/core/dist/verify.js', { DATABASE_URL: url }).then(
    () => 'ok',
    (error: Error) => error.message,
  )
