// The tables of the gateway's scenario.
import { type Cpu, microsecondsEach } from '../cpu-meter.ts'
import { generators } from '../load/generator-process.ts'
import type { LoadResult } from '../load/plan.ts'
import type { Table } from '../report.ts'
import { failures, loadProblems, type Outcome } from '../scenario.ts'
import { median, medians } from '../stats.ts'
import type { GatewayRound, LoadOnSystem } from './gateway-results.ts'

/** The same load in every round. */
type Series = { name: string; loads: LoadOnSystem[] }

export function reportGateway(rounds: GatewayRound[], seconds: number, closedConnections: number): Outcome {
  const systems = rounds.flatMap((round) => round.systems)
  const backends = [...new Set(systems.map(({ backend }) => backend))]
  const of = (backend: string) => systems.filter((system) => system.backend === backend)
  const rates = systems[0]?.atRates.map(({ rate }) => rate) ?? []
  const atRates: Series[] = backends.flatMap((backend) =>
    rates.map((rate, i) => ({
      name: `${backend}, ${rate}/s`,
      loads: of(backend).map(({ atRates }) => atRates[i]!),
    })),
  )
  const closed: Series[] = backends.map((backend) => ({
    name: `${backend}, closed loop`,
    loads: of(backend).map(({ closedLoop }) => closedLoop),
  }))
  const ratios = backends.map((backend) => of(backend).map(({ closedLoop }) => closedLoop.ratioToBare))
  const bare = rounds.map((round) => round.bare)
  const count = rounds.length
  return {
    tables: [
      openLoopTable(atRates, seconds, count),
      settlingTable([...atRates, ...closed], systems),
      {
        title: `gateway: closed loop of ${closedConnections} connections, medians of ${count} rounds, load by ${generators.closedLoop}`,
        columns: ['target', 'req/s', 'of bare', 'each round', 'p50 ms', 'p99 ms', 'not 201', 'lost'],
        rows: [
          closedLoopRow('bare', bare, 1, bare.map(() => '1').join(' ')),
          ...closed.map(({ loads }, i) =>
            closedLoopRow(
              backends[i]!,
              loads,
              median(ratios[i]!),
              ratios[i]!.map((ratio) => ratio.toFixed(3)).join(' '),
            ),
          ),
        ],
      },
      {
        title: 'gateway: CPU in microseconds a payment until it is final, which a busy machine distorts less',
        columns: ['load', 'server', 'worker', 'PostgreSQL', 'generator'],
        rows: [
          cpuRow('bare', bare),
          ...[...atRates, ...closed].map(({ name, loads }) => cpuRow(name, loads)),
        ],
      },
    ],
    data: rounds,
    problems: [
      ...[...atRates, ...closed].flatMap(({ name, loads }) =>
        loads.flatMap((one) => loadProblems(`gateway, ${name}`, one)),
      ),
      ...systems.flatMap(({ backend, verified }) =>
        verified === 'ok' ? [] : [`gateway, ${backend}: ${verified}`],
      ),
    ],
  }
}

const openLoopTable = (series: Series[], durationSeconds: number, rounds: number): Table => ({
  title: `gateway: POST /api/v1/payments in an open loop of ${durationSeconds} s each, latency from the scheduled time, medians of ${rounds} rounds (max: the worst)`,
  columns: ['load', 'p50 ms', 'p99 ms', 'each round', 'max ms', 'not 201', 'lost'],
  rows: series.map(({ name, loads }) => [
    name,
    median(loads.map(({ load }) => load.latencyMs.p50)),
    median(loads.map(({ load }) => load.latencyMs.p99)),
    loads.map(({ load }) => load.latencyMs.p99.toFixed(1)).join(' '),
    Math.max(...loads.map(({ load }) => load.latencyMs.max)),
    ...failures(loads.map(({ load }) => load)),
  ]),
  notes: ['goal: p99 under 50 ms at 200/s; a quarter of the requests with an Idempotency-Key'],
})

const settlingTable = (series: Series[], systems: readonly { verified: string }[]): Table => ({
  title: 'gateway: created to final, with a bank that decides at once',
  columns: ['load', 'p50 ms', 'p99 ms', 'max ms', 'final/s', 'each round', 'lag ms', 'ledger'],
  rows: series.map(({ name, loads }) => [
    name,
    median(loads.map(({ settling }) => settling.p50)),
    median(loads.map(({ settling }) => settling.p99)),
    Math.max(...loads.map(({ settling }) => settling.max)),
    median(loads.map(({ settling }) => settling.perSecond)),
    loads.map(({ settling }) => settling.perSecond.toFixed(0)).join(' '),
    median(loads.map(({ settling }) => settling.lagMs)),
    loads.map(({ ledger }) => ledger).join(', '),
  ]),
  notes: [
    'final/s: from the first creation to the last end; lag: the last end after the last creation',
    "times are those at which PostgreSQL began the payment's first and its last commit",
    `verifier: ${systems.map(({ verified }) => (verified === 'ok' ? 'ok' : 'VIOLATIONS')).join(', ')}`,
  ],
})

const closedLoopRow = (
  target: string,
  loads: readonly { load: LoadResult }[],
  ratioToBare: number,
  eachRound: string,
) => [
  target,
  median(loads.map(({ load }) => load.acknowledgedPerSecond)),
  ratioToBare,
  eachRound,
  median(loads.map(({ load }) => load.latencyMs.p50)),
  median(loads.map(({ load }) => load.latencyMs.p99)),
  ...failures(loads.map(({ load }) => load)),
]

const cpuRow = (name: string, loads: readonly { load: LoadResult; cpuSeconds: Cpu }[]) => [
  name,
  ...medians(loads.map(({ cpuSeconds, load }) => microsecondsEach(cpuSeconds, load.acknowledged))),
]
