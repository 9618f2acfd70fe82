// What the webhooks' scenario found, as tables.
import { type Cpu, cpuParts } from '../cpu-meter.ts'
import { failures, type Outcome } from '../scenario.ts'
import { median } from '../stats.ts'
import type { Backend } from '../system.ts'
import { isolationLimitMs, type Latency } from '../webhook-ledger.ts'
import type { Hanging, Measured, Round, Stream } from './webhooks.ts'

const GOAL_PER_SECOND = 1000
const GOAL_P99_MS = 100

type Conditions = { rate: number; durationSeconds: number; history: number; logLevel: string }

export function reportWebhooks(
  rounds: Round[],
  { rate, durationSeconds, history, logLevel }: Conditions,
): Outcome {
  const systems = rounds.flatMap((round) => round.systems)
  const backends = [...new Set(systems.map(({ backend }) => backend))]
  const of = (backend: Backend) => systems.filter((system) => system.backend === backend)
  const streams = backends.flatMap((backend) => [
    { name: `${backend}, alone`, all: of(backend).map(({ alone }) => alone) },
    { name: `${backend}, beside`, all: of(backend).map(({ beside }) => beside) },
  ])
  const count = rounds.length
  return {
    tables: [
      {
        title: `webhooks: ${systems[0]?.heap.deliveries.toLocaleString('en-US')} due deliveries to 8 endpoints by one worker, medians of ${count} rounds`,
        columns: ['backend', 'deliveries/s', 'each round', 'begins after ms', 'goal', 'books'],
        rows: backends.map((backend) => {
          const heaps = of(backend).map(({ heap }) => heap)
          const perSecond = median(heaps.map((heap) => heap.perSecond))
          return [
            backend,
            perSecond,
            heaps.map((heap) => heap.perSecond.toFixed(0)).join(' '),
            median(heaps.map((heap) => heap.beginsAfterMs)),
            verdict(perSecond >= GOAL_PER_SECOND),
            heaps.map(({ books }) => books).join(', '),
          ]
        }),
        notes: [
          `goal: at least ${GOAL_PER_SECOND}/s; from the first attempt to the last one recorded, each with a row and a log line`,
          'nobody rings for them: "begins after" is how long the worker takes to find them',
          `the table begins with ${history.toLocaleString('en-US')} deliveries that are long over; LOG_LEVEL ${logLevel}`,
        ],
      },
      {
        title: `webhooks: ${rate}/s to 7 endpoints in an open loop of ${durationSeconds} s, from the transaction's begin, medians of ${count} rounds (max: the worst)`,
        columns: [
          'load',
          ...['p50', 'p95', 'p99', 'max'].map((name) => `attempt ${name}`),
          'each p99',
          'goal',
          'arrival p99 ms',
          'POST p99 ms',
          'not 200',
          'lost',
          'books',
        ],
        rows: streams.map(({ name, all }) => [
          name,
          ...latencyCells(all.map(({ toAttempt }) => toAttempt)),
          all.map(({ toAttempt }) => toAttempt.p99.toFixed(1)).join(' '),
          name.endsWith('alone')
            ? verdict(median(all.map(({ toAttempt }) => toAttempt.p99)) < GOAL_P99_MS)
            : '',
          median(all.map(({ toArrival }) => toArrival.p99)),
          median(all.map(({ load }) => load.latencyMs.p99)),
          ...refused(all),
          all.map(({ books }) => books).join(', '),
        ]),
        notes: [
          `goal: p99 of an attempt under ${GOAL_P99_MS} ms; the commit itself is in it, for a row knows when its transaction began`,
          'POST: the test that a merchant asks for, from when it was due to its answer',
        ],
      },
      {
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
        rows: backends.map((backend) => {
          const own = of(backend)
          const alone = median(own.map((each) => each.alone.toAttempt.p95))
          const beside = median(own.map((each) => each.beside.toAttempt.p95))
          return [
            backend,
            alone,
            beside,
            own.map((each) => `${p95(each.alone)}→${p95(each.beside)}`).join(' '),
            isolationLimitMs(alone),
            verdict(own.every(isIsolated)),
            own.map(({ hanging }) => hanging.map(describeHanging).join(', ')).join('; '),
          ]
        }),
        notes: [
          'goal, in every round: at most 1.2 times the p95 alone and 50 ms',
          'one in DNS (a name server that keeps silent), one in connect (a full backlog), one before the header',
        ],
      },
      {
        title: 'webhooks: CPU in microseconds a delivery, which a busy machine distorts less',
        columns: ['load', 'API', 'worker', 'PostgreSQL', 'receivers and generator'],
        rows: [
          ...backends.map((backend) => ({
            name: `${backend}, heap`,
            all: of(backend).map(({ heap }) => ({
              cpuSeconds: heap.cpuSeconds,
              deliveries: heap.deliveries,
            })),
          })),
          ...streams.map(({ name, all }) => ({
            name,
            all: all.map(({ cpuSeconds, load }) => ({ cpuSeconds, deliveries: load.acknowledged })),
          })),
        ].map(({ name, all }) => [
          name,
          ...cpuParts.map((part) => median(all.map((one) => microseconds(one, part)))),
        ]),
      },
    ],
    data: withoutLedgers(rounds),
    problems: systems.flatMap(problemsOf),
  }
}

const verdict = (isReached: boolean) => (isReached ? 'reached' : 'MISSED')

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

const microseconds = ({ cpuSeconds, deliveries }: { cpuSeconds: Cpu; deliveries: number }, part: keyof Cpu) =>
  (cpuSeconds[part] * 1e6) / deliveries

function refused(all: Stream[]): [not200: string, lost: number] {
  const each = all.map(({ load }) => failures(load))
  return [
    [...new Set(each.map(([statuses]) => statuses))].join(', '),
    each.reduce((sum, [, lost]) => sum + lost, 0),
  ]
}

const HUNG_AS = { DNS: 'dns', connect: 'timeout', header: 'timeout' }

/** Broken promises, and endpoints that did not hang as they were meant to: beside those nothing was measured. */
export function problemsOf({ backend, heap, alone, beside, hanging }: Measured): string[] {
  const say = (text: string) => `webhooks, ${backend}: ${text}`
  return [
    ...(heap.books.startsWith('ok') ? [] : [say(`heap: ${heap.books}`)]),
    ...Object.entries({ alone, beside }).flatMap(([name, { load, books }]) => {
      const [statuses, lost] = failures(load)
      return [
        ...(statuses === '0' ? [] : [say(`${name}: answered ${statuses}`)]),
        ...(lost === 0 ? [] : [say(`${name}: ${lost} without an answer`)]),
        ...(books.startsWith('ok') ? [] : [say(`${name}: ${books}`)]),
      ]
    }),
    ...hanging.flatMap((one) => {
      const outcomes = Object.keys(one.outcomes)
      const hasHung = outcomes.length === 1 && outcomes[0] === HUNG_AS[one.where]
      return hasHung ? [] : [say(`did not hang as it should: ${describeHanging(one)}`)]
    }),
  ]
}

const withoutLedgers = (rounds: Round[]) =>
  JSON.parse(JSON.stringify(rounds, (key, value) => (key === 'unacknowledged' ? undefined : value)))
