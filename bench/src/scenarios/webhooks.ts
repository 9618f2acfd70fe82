// Webhooks: throughput of one worker, latency from the commit, and the cost of endpoints that hang to the others.
import { fileURLToPath } from 'node:url'
import { testWebhook } from '@sluice/contracts'
import { waitFor } from '@sluice/testing'
import { type Cpu, cpuMeter } from '../cpu-meter.ts'
import type { Sql } from '../database.ts'
import { newRun } from '../ids.ts'
import { untilDone, verdict } from '../ledger/ledger.ts'
import {
  compareDeliveries,
  databaseTime,
  latencies,
  ofMerchants,
  readDeliveriesOf,
  readOutcomes,
  throughput,
  webhookRows,
} from '../ledger/webhooks.ts'
import { WEBHOOK_TESTERS } from '../load/bodies.ts'
import type { LoadResult } from '../load/plan.ts'
import { cpuSeconds } from '../process-stats.ts'
import { type Receivers, startReceivers } from '../receivers.ts'
import { type Context, eachRound, PROCESSING_DELAY_MS, type Scenario } from '../scenario.ts'
import { type BenchBackend, startBenchSystem } from '../system.ts'
import { makeDeliveries, makeHistory, makeMerchants } from '../webhook-load.ts'
import { reportWebhooks } from './webhooks-report.ts'
import type { Hanging, Heap, Measured, Stream, WebhookRound } from './webhooks-results.ts'

/** Each attempt writes its line, as it does in production. */
const LOG_LEVEL = process.env.LOG_LEVEL ?? 'info'
const DELIVERIES = 10_000
/** Past deliveries of all merchants together: an empty table would flatter the numbers. */
const HISTORY = 40_000
const WARM_UP_DELIVERIES = 1000
const RATE = 200
const DURATION_SECONDS = 30
const WARM_UP_SECONDS = 2
const HANGING_DELIVERIES_EACH = 2000
/** An attempt times out after 5 s. */
const HANGING_RECORDED_WITHIN_MS = 20_000

export const webhooks: Scenario = {
  name: 'webhooks',
  summary: 'deliveries of one worker: throughput, latency, and latency beside endpoints that hang',
  async run(context) {
    const receivers = await startReceivers(context.environment.janitor)
    const rounds = await eachRound(context, async (ofRound): Promise<WebhookRound> => {
      const systems: Measured[] = []
      for (const backend of context.options.backends) systems.push(await measure(ofRound, receivers, backend))
      return { systems }
    })
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

/** The steps' common input. */
type Bench = Context & {
  sql: Sql
  receivers: Receivers
  url: string
  healthy: string[]
  died: Promise<never>[]
  /** Starts counting CPU. */
  meter(): (load?: LoadResult) => Cpu
}

async function measure(context: Context, receivers: Receivers, backend: BenchBackend): Promise<Measured> {
  const { environment, print } = context
  const { healthyUrls, namelessUrl, deafUrl, muteUrl, nameServer } = receivers
  const system = await startBenchSystem(environment, {
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
  print(`${backend}: ${Math.round(heap.perSecond)} deliveries/s, ledger ${heap.ledger}`)
  await deliverStream(bench, WARM_UP_SECONDS)
  const alone = await deliverStream(bench)
  print(`${backend}, alone: ${describe(alone)}`)
  const hangingIds = merchants.slice(healthyUrls.length)
  await makeEndpointsHang(bench, hangingIds)
  const beside = await deliverStream(bench)
  const hanging = await readHanging(bench, hangingIds)
  print(`${backend}, beside endpoints that hang: ${describe(beside)}`)
  await system.stop()
  return { backend, heap, alone, beside, hanging }
}

const describe = ({ toAttempt: { p50, p95, p99 }, ledger }: Stream) =>
  `commit to attempt p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, p99 ${p99.toFixed(1)} ms, ledger ${ledger}`

/** All deliveries are due in one commit, and no wake-up follows it. */
async function deliverHeap(bench: Bench, count: number): Promise<Heap> {
  const { sql, receivers, healthy, died } = bench
  const since = await databaseTime(sql)
  const cpuSince = bench.meter()
  await makeDeliveries(sql, healthy, count)
  await untilDone(sql, webhookRows, { died, only: ofMerchants(healthy) })
  const cpu = cpuSince()
  const deliveries = await readDeliveriesOf(sql, healthy, since)
  const ledger = verdict(compareDeliveries(count, deliveries, await receivers.takeArrivals()))
  return { deliveries: deliveries.length, ...throughput(deliveries), cpuSeconds: cpu, ledger }
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
  await untilDone(sql, webhookRows, { died, only: ofMerchants(testers) })
  const cpu = cpuSince(load)
  const deliveries = await readDeliveriesOf(sql, testers, since)
  const received = await receivers.takeArrivals()
  const ledger = verdict(compareDeliveries(load.acknowledged, deliveries, received))
  return { load, ...latencies(deliveries, received), cpuSeconds: cpu, ledger }
}

/** Returns when an attempt is in flight at each endpoint. */
async function makeEndpointsHang({ sql }: Bench, merchantIds: readonly string[]): Promise<void> {
  await makeDeliveries(sql, merchantIds, HANGING_DELIVERIES_EACH * merchantIds.length)
  await waitFor('endpoints to hang', async () => {
    const [row] = await sql(
      'SELECT count(DISTINCT merchant_id)::int AS n FROM webhook_logs WHERE claimed_until > now()',
    )
    return row?.n === merchantIds.length
  })
}

/** Waits until each endpoint has an attempt on record, which proves how it hung. */
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
