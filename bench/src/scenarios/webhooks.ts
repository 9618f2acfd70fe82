// Webhooks: how many a worker delivers, how soon after the commit, and what endpoints that hang cost the others.
import { fileURLToPath } from 'node:url'
import { testWebhook } from '@sluice/contracts'
import { waitFor } from '@sluice/testing'
import { type Cpu, cpuMeter } from '../cpu-meter.ts'
import type { Sql } from '../database.ts'
import { newRun } from '../ids.ts'
import { untilDone } from '../ledger.ts'
import { WEBHOOK_TESTERS } from '../load/bodies.ts'
import type { LoadResult } from '../load/plan.ts'
import { cpuSeconds } from '../process-stats.ts'
import { type Receivers, startReceivers } from '../receivers.ts'
import { type Context, PROCESSING_DELAY_MS, type Scenario } from '../scenario.ts'
import { type Backend, startSystem } from '../system.ts'
import {
  booksVerdict,
  checkBooks,
  databaseTime,
  type Latency,
  latencies,
  readDeliveries,
  readOutcomes,
  throughput,
  webhookWork,
} from '../webhook-ledger.ts'
import { makeDeliveries, makeHistory, makeMerchants } from '../webhook-load.ts'
import { reportWebhooks } from './webhooks-report.ts'

/** Each attempt writes its line, as it does in production. */
const LOG_LEVEL = process.env.LOG_LEVEL ?? 'info'
const DELIVERIES = 10_000
/** Of all merchants together: whoever was told nothing yet is no measure. */
const HISTORY = 40_000
const WARM_UP_DELIVERIES = 1000
const RATE = 200
const DURATION_SECONDS = 30
const WARM_UP_SECONDS = 2
const HANGING_DELIVERIES_EACH = 2000
/** An attempt is over after 5 s. */
const HANGING_RECORDED_WITHIN_MS = 20_000

/** `books` begins with "ok" when they are right; so everywhere here. */
type Heap = {
  deliveries: number
  perSecond: number
  seconds: number
  beginsAfterMs: number
  cpuSeconds: Cpu
  books: string
}
export type Stream = {
  load: LoadResult
  toAttempt: Latency
  toArrival: Latency
  cpuSeconds: Cpu
  books: string
}
/** Attempts on record at an endpoint that hangs, by what came of them. */
export type Hanging = { where: 'DNS' | 'connect' | 'header'; outcomes: Record<string, number> }
export type Measured = { backend: Backend; heap: Heap; alone: Stream; beside: Stream; hanging: Hanging[] }
export type Round = { systems: Measured[] }

export const webhooks: Scenario = {
  name: 'webhooks',
  summary: 'deliveries of one worker: throughput, latency, and latency beside endpoints that hang',
  async run(context) {
    const rounds: Round[] = []
    const receivers = await startReceivers(context.environment.janitor)
    for (let number = 1; number <= context.options.rounds; number++) {
      const say = (line: string) => context.say(`round ${number}: ${line}`)
      const systems: Measured[] = []
      for (const backend of context.options.backends)
        systems.push(await measure({ ...context, say }, receivers, backend))
      rounds.push({ systems })
    }
    await receivers.stop()
    return reportWebhooks(rounds, {
      rate: rateOf(context),
      durationSeconds: secondsOf(context),
      history: HISTORY,
      logLevel: LOG_LEVEL,
    })
  },
}

const rateOf = ({ options }: Context) => options.rates?.[0] ?? RATE
const secondsOf = ({ options }: Context) => options.steadySeconds ?? DURATION_SECONDS

/** What the steps share. */
type Bench = Context & {
  sql: Sql
  receivers: Receivers
  url: string
  healthy: string[]
  died: Promise<never>[]
  /** Starts counting. */
  meter(): (load?: LoadResult) => Cpu
}

async function measure(context: Context, receivers: Receivers, backend: Backend): Promise<Measured> {
  const { environment, say } = context
  const { healthyUrls, namelessUrl, deafUrl, muteUrl, nameServer } = receivers
  const system = await startSystem(environment, {
    backend,
    processingDelayMs: PROCESSING_DELAY_MS,
    env: { LOG_LEVEL, BENCH_NAME_SERVER: nameServer },
    workerArgs: ['--import', fileURLToPath(new URL('../name-server-preload.js', import.meta.url))],
  })
  const { sql } = system.database
  const merchants = await makeMerchants(sql, [...healthyUrls, namelessUrl, deafUrl, muteUrl])
  await makeHistory(sql, merchants, HISTORY)
  const worker = await system.startWorker()
  const pids = { server: system.api.pid, worker: worker.pid, postgres: environment.databaseServer.pid }
  const bench: Bench = {
    ...context,
    sql,
    receivers,
    url: new URL(testWebhook.url, system.api.url).href,
    healthy: merchants.slice(0, healthyUrls.length),
    died: [system.api.died, worker.died, receivers.died],
    meter() {
      const stop = cpuMeter(pids)
      const before = cpuSeconds(receivers.pid) ?? Number.NaN
      return (load) => {
        const own = (cpuSeconds(receivers.pid) ?? Number.NaN) - before
        return stop({ generatorCpuSeconds: own + (load?.generatorCpuSeconds ?? 0) })
      }
    },
  }

  await deliverHeap(bench, WARM_UP_DELIVERIES)
  const heap = await deliverHeap(bench, context.options.count ?? DELIVERIES)
  say(`${backend}: ${Math.round(heap.perSecond)} deliveries/s, books ${heap.books}`)
  await deliverStream(bench, WARM_UP_SECONDS)
  const alone = await deliverStream(bench)
  say(`${backend}, alone: ${describe(alone)}`)
  const hangingIds = merchants.slice(healthyUrls.length)
  await makeThemHang(bench, hangingIds)
  const beside = await deliverStream(bench)
  const hanging = await readHanging(bench, hangingIds)
  say(`${backend}, beside endpoints that hang: ${describe(beside)}`)
  await system.stop()
  return { backend, heap, alone, beside, hanging }
}

const describe = ({ toAttempt: { p50, p95, p99 }, books }: Stream) =>
  `commit to attempt p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, p99 ${p99.toFixed(1)} ms, books ${books}`

/** All of them are due in one commit, and nobody rings for them. */
async function deliverHeap(bench: Bench, count: number): Promise<Heap> {
  const { sql, receivers, healthy, died } = bench
  const since = await databaseTime(sql)
  const cpuSince = bench.meter()
  await makeDeliveries(sql, healthy, count)
  await untilDone(sql, webhookWork(healthy), died)
  const cpu = cpuSince()
  const deliveries = await readDeliveries(sql, healthy, since)
  const books = booksVerdict(checkBooks(count, deliveries, await receivers.takeArrivals()))
  return { deliveries: deliveries.length, ...throughput(deliveries), cpuSeconds: cpu, books }
}

/** Merchants ask for tests of their webhooks, each a commit of its own, at a fixed rate. */
async function deliverStream(bench: Bench, seconds = secondsOf(bench)): Promise<Stream> {
  const { sql, receivers, generator, healthy, died, url, options } = bench
  const testers = healthy.slice(0, WEBHOOK_TESTERS)
  const since = await databaseTime(sql)
  const cpuSince = bench.meter()
  const ratePerSecond = rateOf(bench)
  const arrivals = {
    kind: 'open',
    ratePerSecond,
    count: ratePerSecond * seconds,
    bodies: 'webhook tests',
  } as const
  const plan = { url, run: newRun(), connections: options.connections, arrivals }
  const load = await Promise.race([generator.run(plan), ...died])
  await untilDone(sql, webhookWork(testers), died)
  const cpu = cpuSince(load)
  const deliveries = await readDeliveries(sql, testers, since)
  const received = await receivers.takeArrivals()
  const books = booksVerdict(checkBooks(load.acknowledged, deliveries, received))
  return { load, ...latencies(deliveries, received), cpuSeconds: cpu, books }
}

/** Answers when an attempt is under way at each. */
async function makeThemHang({ sql }: Bench, merchantIds: readonly string[]): Promise<void> {
  await makeDeliveries(sql, merchantIds, HANGING_DELIVERIES_EACH * merchantIds.length)
  await waitFor('endpoints to hang', async () => {
    const [row] = await sql(
      'SELECT count(DISTINCT merchant_id)::int AS n FROM webhook_logs WHERE claimed_until > now()',
    )
    return row?.n === merchantIds.length
  })
}

/** When each has an attempt on record: else nobody knows what the others were measured beside. */
async function readHanging({ sql }: Bench, merchantIds: readonly string[]): Promise<Hanging[]> {
  const read = () => Promise.all(merchantIds.map((id) => readOutcomes(sql, id)))
  const isRecorded = (outcomes: Record<string, number>) => Object.keys(outcomes).length > 0
  const [dns, connect, header] = await waitFor(
    'attempts at endpoints that hang to be recorded',
    async () => {
      const all = await read()
      return all.every(isRecorded) ? all : undefined
    },
    { timeoutMs: HANGING_RECORDED_WITHIN_MS },
  )
  return [
    { where: 'DNS', outcomes: dns! },
    { where: 'connect', outcomes: connect! },
    { where: 'header', outcomes: header! },
  ]
}
