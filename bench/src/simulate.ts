// `npm run simulate`: plays processors against a running Sluice and checks that it keeps what it acknowledged.
import { parseArgs } from 'node:util'
import { localAddress, readConfig } from '@sluice/core/platform'
import { newRun } from './ids.ts'
import { confirmPayments } from './simulator/confirm-payments.ts'
import { confirmTransactions } from './simulator/confirm-transactions.ts'
import { planPaymentEvents } from './simulator/payment-traffic.ts'
import { createProcessor, describeFailure, paymentEventsAt, transactionsAt } from './simulator/processor.ts'
import { progressLine } from './simulator/progress.ts'
import { describeSending, summarize } from './simulator/summary.ts'
import { planTransactions } from './simulator/traffic.ts'

const HELP = `npm run simulate [-- options]

Plays payment processors: posts transactions and the events of payments to a running Sluice, with duplicates, late and
reordered deliveries, bursts and a few contradictions, and retries what is answered 503. Payments complete, fail, are
tried again and are refunded. Then it waits until all of its transactions are PROCESSED, and reads its payments back:
each must have all of its events, once, and be in the state that follows from them.

  --url URL          where Sluice's API is           from HOST and PORT
  --rate N           new transactions a second       50
  --payments N       new payments a second, of about three events each   20
  --duration S       seconds                         30
  --duplicates P     percent delivered again         15
  --conflicts P      percent contradicted            1
  --burst N          extra transactions, and payments, at once every 10 s   200
  --wait S           gives up after so long without any progress at the end   90
  --help

A rate of 0 leaves that kind out. When INBOUND_WEBHOOK_SECRET is set, deliveries are signed with the first secret in it.

Exit code 1 when anything acknowledged is missing, changed, taken twice or not processed, when a payment is not what its
events make of it, or when nothing was acknowledged.`

async function main(): Promise<number> {
  const { host, port, inboundWebhookSecrets } = readConfig(process.env)
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: localAddress(host, port) },
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
  if (values.help) {
    console.log(HELP)
    return 0
  }
  const options = {
    rate: number(values.rate, 'rate', 0, 100_000),
    durationSeconds: number(values.duration, 'duration', 1, 86_400),
    duplicates: number(values.duplicates, 'duplicates', 0, 100) / 100,
    conflicts: number(values.conflicts, 'conflicts', 0, 100) / 100,
    burst: number(values.burst, 'burst', 0, 1_000_000),
  }
  const paymentRate = number(values.payments, 'payments', 0, 100_000)
  if (options.rate === 0 && paymentRate === 0) throw new UsageError('--rate and --payments cannot both be 0')
  const waitMs = number(values.wait, 'wait', 1, 86_400) * 1000
  const { url } = values
  await assertReachable(url)

  const run = newRun()
  const planned = {
    transactions: planTransactions(options, run),
    events: planPaymentEvents({ ...options, rate: paymentRate }, run),
  }
  console.log(
    `Sending ${planned.transactions.length} deliveries of transactions and ${planned.events.length} of payment events to ${url} over ${options.durationSeconds} s; Ctrl-C ends it early.`,
  )
  const [secret] = inboundWebhookSecrets
  const transactions = createProcessor(transactionsAt(url), secret)
  const events = createProcessor(paymentEventsAt(url), secret)
  const parts = [
    { name: 'transactions', processor: transactions },
    { name: 'payment events', processor: events },
  ] as const
  const stopSending = new AbortController()
  const stopWaiting = new AbortController()
  process.on('SIGINT', () => (stopSending.signal.aborted ? stopWaiting : stopSending).abort())
  process.on('SIGTERM', () => {
    stopSending.abort()
    stopWaiting.abort()
  })

  const sending = progressLine(() => describeSending(parts))
  await Promise.all([
    transactions.send(planned.transactions, stopSending.signal),
    events.send(planned.events, stopSending.signal),
  ])
  sending.end()
  stopSending.abort() // from here on, Ctrl-C ends the waiting

  const seen = { processed: '-', right: '-' }
  const waiting = progressLine(
    () => `transactions processed: ${seen.processed}  payments right: ${seen.right}`,
  )
  const patience = (what: keyof typeof seen) => ({
    waitMs,
    signal: stopWaiting.signal,
    onProgress: (right: number, of: number) => {
      seen[what] = `${right} of ${of}`
    },
  })
  const [ofTransactions, ofPayments] = await Promise.all([
    confirmTransactions(url, transactions.ledger, patience('processed')),
    confirmPayments(url, events.ledger, patience('right')),
  ])
  waiting.end()
  return summarize([
    { ...parts[0], confirmation: ofTransactions },
    { ...parts[1], confirmation: ofPayments },
  ])
}

async function assertReachable(url: string): Promise<void> {
  try {
    await fetch(new URL('/', url), { signal: AbortSignal.timeout(5000) })
  } catch (error) {
    throw new UsageError(
      `Nothing answers at ${url} (${describeFailure(error)}). Start Sluice with "npm start", or say where it is with --url.`,
    )
  }
}

function number(text: string, option: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= least && value <= most)) {
    throw new UsageError(`--${option} takes a number from ${least} to ${most}, not "${text}"`)
  }
  return value
}

class UsageError extends Error {}

try {
  process.exitCode = await main()
} catch (error) {
  const expected =
    error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
  console.error(expected ? (error as Error).message : error)
  process.exitCode = 1
}
process.exit()
