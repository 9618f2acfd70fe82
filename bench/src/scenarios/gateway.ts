// The gateway: payments from their POST to their end, at fixed rates and as fast as they go, with a bank that takes no time.
import { createPayment } from '@sluice/contracts'
import { seededKeys } from '@sluice/testing'
import { runNode, startChild } from '../child.ts'
import { type Cpu, cpuMeter } from '../cpu-meter.ts'
import type { Sql } from '../database.ts'
import {
  booksVerdict,
  makeOrders,
  paymentWork,
  readBooks,
  readSettling,
  type Settling,
} from '../gateway-ledger.ts'
import { newRun } from '../ids.ts'
import { untilDone } from '../ledger.ts'
import type { LoadPlan, LoadResult } from '../load/plan.ts'
import { type Context, PROCESSING_DELAY_MS, type Scenario } from '../scenario.ts'
import { type Backend, startSystem } from '../system.ts'
import { reportGateway } from './gateway-report.ts'

const DURATION_SECONDS = 30
const RATES = [200, 300]
const CLOSED_CONNECTIONS = 64
const WARM_UP_SECONDS = 2
/** Orders for a closed loop, which takes as many as it can: a second's. */
const ORDERS_PER_SECOND_MAX = 5000
const NO_DELAY = { PROCESSING_DELAY_MIN: '0', PROCESSING_DELAY_MAX: '0' }

/** What came of one load; `books` begins with "ok" when they are right. */
export type Taken = { load: LoadResult; cpuSeconds: Cpu; settling: Settling; books: string }
type BareRound = { load: LoadResult; cpuSeconds: Cpu }
type SystemRound = {
  backend: Backend
  atRates: (Taken & { rate: number })[]
  closedLoop: Taken & { ratioToBare: number }
  /** What the verifier said; "ok" when it found nothing. */
  verified: string
}
export type Round = { bare: BareRound; systems: SystemRound[] }

export const gateway: Scenario = {
  name: 'gateway',
  summary: 'payments of the gateway at 200/s and 300/s, created to final, and as fast as they are taken',
  async run(context) {
    const rounds: Round[] = []
    for (let number = 1; number <= context.options.rounds; number++) {
      const say = (line: string) => context.say(`round ${number}: ${line}`)
      rounds.push(await measureRound({ ...context, say }))
    }
    return reportGateway(rounds, context.options.steadySeconds ?? DURATION_SECONDS, CLOSED_CONNECTIONS)
  },
}

async function measureRound(context: Context): Promise<Round> {
  const bare = await measureBare(context)
  context.say(`bare ${Math.round(bare.load.acknowledgedPerSecond)} req/s`)
  const systems: SystemRound[] = []
  for (const backend of context.options.backends) systems.push(await measureSystem(context, backend, bare))
  return { bare, systems }
}

async function measureBare({ environment, generator, options }: Context): Promise<BareRound> {
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

async function measureSystem(context: Context, backend: Backend, bare: BareRound): Promise<SystemRound> {
  const { environment, options, say } = context
  const { rates = RATES, steadySeconds = DURATION_SECONDS, connections, burstSeconds } = options
  const system = await startSystem(environment, {
    backend,
    processingDelayMs: PROCESSING_DELAY_MS,
    env: NO_DELAY,
  })
  const worker = await system.startWorker()
  const url = new URL(createPayment.url, system.api.url).href
  const { sql } = system.database
  const pids = { server: system.api.pid, worker: worker.pid, postgres: environment.databaseServer.pid }
  const take = (plan: LoadPlan) =>
    takePayments(context, { sql, died: [system.api.died, worker.died], pids, plan })

  await take(closedPlan(url, newRun(), WARM_UP_SECONDS))
  const atRates: SystemRound['atRates'] = []
  for (const rate of rates) {
    const arrivals = { kind: 'open', ratePerSecond: rate, count: rate * steadySeconds, bodies } as const
    const taken = await take({ url, run: newRun(), connections, headers: seededKeys, arrivals })
    atRates.push({ rate, ...taken })
    say(`${backend}, ${rate}/s: ${describe(taken)}`)
  }
  const taken = await take(closedPlan(url, newRun(), burstSeconds))
  const ratioToBare = taken.load.acknowledgedPerSecond / bare.load.acknowledgedPerSecond
  say(`${backend}, closed loop: ${describe(taken)}, ${ratioToBare.toFixed(3)} of bare`)
  const verified = await verify(context, system.database.url)
  await system.stop()
  return { backend, atRates, closedLoop: { ...taken, ratioToBare }, verified }
}

const bodies = 'gateway payments'

const closedPlan = (url: string, run: string, seconds: number): LoadPlan => ({
  url,
  run,
  connections: CLOSED_CONNECTIONS,
  headers: seededKeys,
  arrivals: { kind: 'closed', durationMs: seconds * 1000, bodies },
})

type Taking = {
  sql: Sql
  died: Promise<never>[]
  pids: { server: number; worker: number; postgres: number }
  plan: LoadPlan
}

/** Orders first, then the load, then whatever is left to the worker, then the books. */
async function takePayments({ generator }: Context, { sql, died, pids, plan }: Taking): Promise<Taken> {
  const { run, arrivals } = plan
  const orders =
    arrivals.kind === 'open' ? arrivals.count : (arrivals.durationMs / 1000) * ORDERS_PER_SECOND_MAX
  await makeOrders(sql, run, orders)
  const cpuSince = cpuMeter(pids)
  const load = await Promise.race([generator.run(plan), ...died])
  await untilDone(sql, paymentWork, died) // the CPU of a payment is that of its way to the end
  const cpuSeconds = cpuSince(load)
  const books = booksVerdict(await readBooks(sql, run, load))
  return { load, cpuSeconds, settling: await readSettling(sql, run), books }
}

const describe = ({ load, settling }: Taken) =>
  `${Math.round(load.acknowledgedPerSecond)} taken/s, POST p99 ${load.latencyMs.p99.toFixed(1)} ms, ` +
  `${Math.round(settling.finalPerSecond)} final/s, p99 ${Math.round(settling.p99)} ms`

/** Sluice's own verifier. */
const verify = ({ environment }: Context, url: string): Promise<string> =>
  runNode(environment.janitor, 'packages/core/dist/verify.js', { DATABASE_URL: url }).then(
    () => 'ok',
    (error: Error) => error.message,
  )
