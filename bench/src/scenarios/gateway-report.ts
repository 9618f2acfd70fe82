// What the gateway's scenario found, as tables.
import { type Cpu, cpuParts } from '../cpu-meter.ts'
import { generators } from '../load/client.ts'
import { failures, type Outcome } from '../scenario.ts'
import { median } from '../stats.ts'
import type { Backend } from '../system.ts'
import type { Round, Taken } from './gateway.ts'

/** The same load in every round. */
type Series = { name: string; takes: Taken[] }

export function reportGateway(rounds: Round[], durationSeconds: number, closedConnections: number): Outcome {
  const systems = rounds.flatMap((round) => round.systems)
  const backends = [...new Set(systems.map(({ backend }) => backend))]
  const of = (backend: Backend) => systems.filter((system) => system.backend === backend)
  const rates = systems[0]?.atRates.map(({ rate }) => rate) ?? []
  const atRates: Series[] = backends.flatMap((backend) =>
    rates.map((rate, i) => ({
      name: `${backend}, ${rate}/s`,
      takes: of(backend).map(({ atRates }) => atRates[i]!),
    })),
  )
  const closed: Series[] = backends.map((backend) => ({
    name: `${backend}, closed loop`,
    takes: of(backend).map(({ closedLoop }) => closedLoop),
  }))
  const bare = rounds.map((round) => round.bare)
  const count = rounds.length
  return {
    tables: [
      {
        title: `gateway: POST /api/v1/payments in an open loop of ${durationSeconds} s each, latency from the scheduled time, medians of ${count} rounds (max: the worst)`,
        columns: ['load', 'p50 ms', 'p99 ms', 'each round', 'max ms', 'not 201', 'lost'],
        rows: atRates.map(({ name, takes }) => [
          name,
          median(takes.map(({ load }) => load.latencyMs.p50)),
          median(takes.map(({ load }) => load.latencyMs.p99)),
          takes.map(({ load }) => load.latencyMs.p99.toFixed(1)).join(' '),
          Math.max(...takes.map(({ load }) => load.latencyMs.max)),
          ...refused(takes),
        ]),
        notes: ['goal: p99 under 50 ms at 200/s; a quarter of the requests with an Idempotency-Key'],
      },
      {
        title: 'gateway: created to final, with a bank that answers at once',
        columns: ['load', 'p50 ms', 'p99 ms', 'max ms', 'final/s', 'each round', 'lag ms', 'books'],
        rows: [...atRates, ...closed].map(({ name, takes }) => [
          name,
          median(takes.map(({ settling }) => settling.p50)),
          median(takes.map(({ settling }) => settling.p99)),
          Math.max(...takes.map(({ settling }) => settling.max)),
          median(takes.map(({ settling }) => settling.finalPerSecond)),
          takes.map(({ settling }) => settling.finalPerSecond.toFixed(0)).join(' '),
          median(takes.map(({ settling }) => settling.lagMs)),
          takes.map(({ books }) => books).join(', '),
        ]),
        notes: [
          'final/s: from the first creation to the last end; lag: the last end after the last creation',
          "times are those at which PostgreSQL began the payment's first and its last commit",
          `verifier: ${systems.map(({ verified }) => (verified === 'ok' ? 'ok' : 'VIOLATIONS')).join(', ')}`,
        ],
      },
      {
        title: `gateway: closed loop of ${closedConnections} connections, medians of ${count} rounds, load by ${generators.closedLoop}`,
        columns: ['target', 'req/s', 'of bare', 'each round', 'p50 ms', 'p99 ms', 'not 201', 'lost'],
        rows: [
          [
            'bare',
            median(bare.map(({ load }) => load.acknowledgedPerSecond)),
            1,
            bare.map(() => '1').join(' '),
            median(bare.map(({ load }) => load.latencyMs.p50)),
            median(bare.map(({ load }) => load.latencyMs.p99)),
            ...refused(bare),
          ],
          ...backends.map((backend) => {
            const own = of(backend).map(({ closedLoop }) => closedLoop)
            return [
              backend,
              median(own.map(({ load }) => load.acknowledgedPerSecond)),
              median(own.map(({ ratioToBare }) => ratioToBare)),
              own.map(({ ratioToBare }) => ratioToBare.toFixed(3)).join(' '),
              median(own.map(({ load }) => load.latencyMs.p50)),
              median(own.map(({ load }) => load.latencyMs.p99)),
              ...refused(own),
            ]
          }),
        ],
      },
      {
        title: 'gateway: CPU in microseconds a payment until it is final, which a busy machine distorts less',
        columns: ['load', 'server', 'worker', 'PostgreSQL', 'generator'],
        rows: [{ name: 'bare', takes: bare }, ...atRates, ...closed].map(({ name, takes }) => [
          name,
          ...cpuParts.map((part) => median(takes.map((take) => microseconds(take, part)))),
        ]),
      },
    ],
    data: withoutLedgers(rounds),
    problems: [
      ...[...atRates, ...closed].flatMap(({ name, takes }) =>
        takes.flatMap((take) => problemsOf(name, take)),
      ),
      ...systems.flatMap(({ backend, verified }) =>
        verified === 'ok' ? [] : [`gateway, ${backend}: ${verified}`],
      ),
    ],
  }
}

const microseconds = ({ cpuSeconds, load }: { cpuSeconds: Cpu; load: Taken['load'] }, part: keyof Cpu) =>
  (cpuSeconds[part] * 1e6) / load.acknowledged

function refused(takes: Pick<Taken, 'load'>[]): [not201: string, lost: number] {
  const all = takes.map(({ load }) => failures(load))
  return [
    [...new Set(all.map(([statuses]) => statuses))].join(', '),
    all.reduce((sum, [, lost]) => sum + lost, 0),
  ]
}

/** The least that every payment may expect: to be taken, to end, and to be in the books once. */
export function problemsOf(name: string, { load, books }: Pick<Taken, 'load' | 'books'>): string[] {
  const [statuses, lost] = failures(load)
  return [
    ...(statuses === '0' ? [] : [`gateway, ${name}: answered ${statuses}`]),
    ...(lost === 0 ? [] : [`gateway, ${name}: ${lost} without an answer`]),
    ...(books.startsWith('ok') ? [] : [`gateway, ${name}: ${books}`]),
  ]
}

const withoutLedgers = (rounds: Round[]) =>
  JSON.parse(JSON.stringify(rounds, (key, value) => (key === 'unacknowledged' ? undefined : value)))
