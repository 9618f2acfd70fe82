// The tables of the webhooks' scenario.
import { microsecondsEach } from '../cpu-meter.ts'
import { isolationLimitMs, type Latency } from '../ledger/webhooks.ts'
import type { Table } from '../report.ts'
import { failures, ledgerProblems, loadProblems, type Outcome } from '../scenario.ts'
import { median, medians } from '../stats.ts'
import type { Hanging, Measured, Stream, WebhookRound } from './webhooks-results.ts'

const GOAL_PER_SECOND = 1000
const GOAL_P99_MS = 100

type Conditions = { rate: number; durationSeconds: number; history: number; logLevel: string }
type OfBackend = { backend: string; own: Measured[] }
type Series = { name: string; streams: Stream[] }

export function reportWebhooks(rounds: WebhookRound[], conditions: Conditions): Outcome {
  const systems = rounds.flatMap((round) => round.systems)
  const backends = [...new Set(systems.map(({ backend }) => backend))].map((backend) => ({
    backend,
    own: systems.filter((system) => system.backend === backend),
  }))
  const series = backends.flatMap(({ backend, own }) => [
    { name: `${backend}, alone`, streams: own.map(({ alone }) => alone) },
    { name: `${backend}, beside`, streams: own.map(({ beside }) => beside) },
  ])
  return {
    tables: [
      heapTable(backends, conditions, rounds.length),
      latencyTable(series, conditions, rounds.length),
      isolationTable(backends),
      cpuTable(backends, series),
    ],
    data: rounds,
    problems: systems.flatMap(problemsOf),
  }
}

const heapTable = (backends: OfBackend[], { history, logLevel }: Conditions, rounds: number): Table => ({
  title: `webhooks: ${backends[0]?.own[0]?.heap.deliveries.toLocaleString('en-US')} due deliveries to 8 endpoints by one worker, medians of ${rounds} rounds`,
  columns: ['backend', 'deliveries/s', 'each round', 'begins after ms', 'goal', 'ledger'],
  rows: backends.map(({ backend, own }) => {
    const perSecond = median(own.map(({ heap }) => heap.perSecond))
    return [
      backend,
      perSecond,
      own.map(({ heap }) => heap.perSecond.toFixed(0)).join(' '),
      median(own.map(({ heap }) => heap.beginsAfterMs)),
      goal(perSecond >= GOAL_PER_SECOND),
      own.map(({ heap }) => heap.ledger).join(', '),
    ]
  }),
  notes: [
    `goal: at least ${GOAL_PER_SECOND}/s; from the first attempt to the last one recorded, each with a row and a log line`,
    'no wake-up follows their commit: "begins after" is how long the worker takes to find them',
    `the table begins with ${history.toLocaleString('en-US')} deliveries that ended long ago; LOG_LEVEL ${logLevel}`,
  ],
})

const latencyTable = (series: Series[], { rate, durationSeconds }: Conditions, rounds: number): Table => ({
  title: `webhooks: ${rate}/s to 7 endpoints in an open loop of ${durationSeconds} s, from the transaction's begin, medians of ${rounds} rounds (max: the worst)`,
  columns: [
    'load',
    ...['p50', 'p95', 'p99', 'max'].map((name) => `attempt ${name}`),
    'each p99',
    'goal',
    'arrival p99 ms',
    'POST p99 ms',
    'not 200',
    'lost',
    'ledger',
  ],
  rows: series.map(({ name, streams }) => [
    name,
    ...latencyCells(streams.map(({ toAttempt }) => toAttempt)),
    streams.map(({ toAttempt }) => toAttempt.p99.toFixed(1)).join(' '),
    name.endsWith('alone') ? goal(median(streams.map(({ toAttempt }) => toAttempt.p99)) < GOAL_P99_MS) : '',
    median(streams.map(({ toArrival }) => toArrival.p99)),
    median(streams.map(({ load }) => load.latencyMs.p99)),
    ...failures(streams.map(({ load }) => load)),
    streams.map(({ ledger }) => ledger).join(', '),
  ]),
  notes: [
    `goal: p99 of an attempt under ${GOAL_P99_MS} ms; it includes the commit, since a row has the begin of its transaction`,
    'POST: the test that a merchant requests, from when it was due to its response',
  ],
})

const isolationTable = (backends: OfBackend[]): Table => ({
  title: 'webhooks: the 7 beside 3 endpoints with 2,000 deliveries each that hang',
  columns: [
    'backend',
    'p95 alone ms',
    'p95 beside ms',
    'each round',
    'limit ms',
    'goal',
    'attempts that hung',
  ],
  rows: backends.map(({ backend, own }) => {
    const alone = median(own.map((one) => one.alone.toAttempt.p95))
    return [
      backend,
      alone,
      median(own.map((one) => one.beside.toAttempt.p95)),
      own.map((one) => `${p95(one.alone)}→${p95(one.beside)}`).join(' '),
      isolationLimitMs(alone),
      goal(own.every(isIsolated)),
      own.map(({ hanging }) => hanging.map(describeHanging).join(', ')).join('; '),
    ]
  }),
  notes: [
    'goal, in every round: at most 1.2 times the p95 alone and 50 ms',
    'one hangs in DNS (a silent name server), one in connect (a full backlog), one before the header',
  ],
})

const cpuTable = (backends: OfBackend[], series: Series[]): Table => ({
  title: 'webhooks: CPU in microseconds a delivery, which a busy machine distorts less',
  columns: ['load', 'API', 'worker', 'PostgreSQL', 'receivers and generator'],
  rows: [
    ...backends.map(({ backend, own }) => [
      `${backend}, heap`,
      ...medians(own.map(({ heap }) => microsecondsEach(heap.cpuSeconds, heap.deliveries))),
    ]),
    ...series.map(({ name, streams }) => [
      name,
      ...medians(streams.map(({ cpuSeconds, load }) => microsecondsEach(cpuSeconds, load.acknowledged))),
    ]),
  ],
})

const goal = (isReached: boolean) => (isReached ? 'reached' : 'MISSED')

const p95 = ({ toAttempt }: Stream) => toAttempt.p95.toFixed(1)

export const isIsolated = ({ alone, beside }: Pick<Measured, 'alone' | 'beside'>) =>
  beside.toAttempt.p95 <= isolationLimitMs(alone.toAttempt.p95)

const latencyCells = (all: Latency[]) => [
  median(all.map(({ p50 }) => p50)),
  median(all.map(({ p95 }) => p95)),
  median(all.map(({ p99 }) => p99)),
  Math.max(...all.map(({ max }) => max)),
]

const describeHanging = ({ where, outcomes }: Hanging) =>
  `${where} ${Object.entries(outcomes)
    .map(([outcome, count]) => `${count}×${outcome}`)
    .join(' ')}`

const HUNG_AS = { DNS: 'dns', connect: 'timeout', header: 'timeout' }

/** Broken promises, and endpoints that did not hang: without them the isolation is not measured. */
export function problemsOf({ backend, heap, alone, beside, hanging }: Measured): string[] {
  const name = `webhooks, ${backend}`
  return [
    ...ledgerProblems(`${name}: heap`, heap.ledger),
    ...loadProblems(`${name}: alone`, alone),
    ...loadProblems(`${name}: beside`, beside),
    ...hanging.flatMap((one) => {
      const outcomes = Object.keys(one.outcomes)
      const hasHung = outcomes.length === 1 && outcomes[0] === HUNG_AS[one.where]
      return hasHung ? [] : [`${name}: did not hang as it should: ${describeHanging(one)}`]
    }),
  ]
}
