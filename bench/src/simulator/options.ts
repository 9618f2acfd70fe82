// The command line of `npm run simulate`: its options, and the help text.
import { parseArgs } from 'node:util'
import type { TrafficOptions } from './traffic.ts'

export const HELP = `npm run simulate [-- options]

Acts as payment processors: posts transactions and payment events to a running Sluice, with duplicates, late and
reordered events, bursts and a few contradictions, and retries after a 503. Payments complete, fail, are retried and
are refunded. Then it waits until all of its transactions are PROCESSED, and reads its payments: each must have all of
its events, once, and be in the state that follows from them.

  --url URL          Sluice's API                    from HOST and PORT
  --rate N           new transactions a second       50
  --payments N       new payments a second, of about three events each   20
  --duration S       seconds                         30
  --duplicates P     percent of duplicates           15
  --conflicts P      percent of conflicts            1
  --burst N          extra transactions, and payments, at once every 10 s   200
  --wait S           gives up after so long without any progress at the end   90
  --help

A rate of 0 sends none of that kind. With INBOUND_WEBHOOK_SECRET, requests are signed with the first secret in it.

Exit code 1 when an acknowledged event is missing, changed, accepted twice or not processed, when a payment is not what
its events make of it, or when no event was acknowledged.`

export type SimulatorOptions = TrafficOptions & { url: string; paymentRate: number; waitMs: number }

/** Undefined when the command asks for help. */
export function parseSimulatorOptions(args: string[], defaultUrl: string): SimulatorOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      url: { type: 'string', default: defaultUrl },
      rate: { type: 'string', default: '50' },
      payments: { type: 'string', default: '20' },
      duration: { type: 'string', default: '30' },
      duplicates: { type: 'string', default: '15' },
      conflicts: { type: 'string', default: '1' },
      burst: { type: 'string', default: '200' },
      wait: { type: 'string', default: '90' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const options = {
    url: values.url,
    rate: number(values.rate, 'rate', 0, 100_000),
    paymentRate: number(values.payments, 'payments', 0, 100_000),
    durationSeconds: number(values.duration, 'duration', 1, 86_400),
    duplicates: number(values.duplicates, 'duplicates', 0, 100) / 100,
    conflicts: number(values.conflicts, 'conflicts', 0, 100) / 100,
    burst: number(values.burst, 'burst', 0, 1_000_000),
    waitMs: number(values.wait, 'wait', 1, 86_400) * 1000,
  }
  if (options.rate === 0 && options.paymentRate === 0)
    throw new UsageError('--rate and --payments are both 0. Expected at least one above 0.')
  return options
}

function number(text: string, option: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= least && value <= most) return value
  throw new UsageError(`--${option}: "${text}" is not valid. Expected a number from ${least} to ${most}.`)
}

export class UsageError extends Error {}

/** A mistake in the command line, or no Sluice to send to. */
export const isUsageError = (error: unknown): error is Error =>
  error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true
