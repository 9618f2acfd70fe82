// `npm run simulate`: acts as payment processors against a running Sluice, and checks what it acknowledged.
import { localAddress, readConfig } from '@sluice/core/platform'
import { newRun } from './ids.ts'
import type { Confirmation, ConfirmOptions } from './simulator/confirm.ts'
import { confirmPayments } from './simulator/confirm-payments.ts'
import { confirmTransactions } from './simulator/confirm-transactions.ts'
import { HELP, isUsageError, parseSimulatorOptions, UsageError } from './simulator/options.ts'
import { planPaymentEvents } from './simulator/payment-traffic.ts'
import { createProcessor, describeFailure, paymentEventsAt, transactionsAt } from './simulator/processor.ts'
import { progressLine } from './simulator/progress.ts'
import { describeSending, printSummary } from './simulator/summary.ts'
import { planTransactions } from './simulator/traffic.ts'

async function main(): Promise<number> {
  const { host, port, inboundWebhookSecrets } = readConfig(process.env)
  const options = parseSimulatorOptions(process.argv.slice(2), localAddress(host, port))
  if (options === undefined) {
    console.log(HELP)
    return 0
  }
  const { url, waitMs } = options
  await assertReachable(url)

  const run = newRun()
  const planned = {
    transactions: planTransactions(options, run),
    events: planPaymentEvents({ ...options, rate: options.paymentRate }, run),
  }
  console.log(
    `Sending ${planned.transactions.length} requests of transactions and ${planned.events.length} of payment events to ${url} over ${options.durationSeconds} s; Ctrl-C ends it early.`,
  )
  const [secret] = inboundWebhookSecrets
  const transactions = createProcessor(transactionsAt(url), secret)
  const events = createProcessor(paymentEventsAt(url), secret)
  const parts = [
    { name: 'transactions', processor: transactions },
    { name: 'payment events', processor: events },
  ] as const
  const { stopSending, stopWaiting } = stopsOnSignals()

  const sending = progressLine(() => describeSending(parts))
  await Promise.all([
    transactions.send(planned.transactions, stopSending.signal),
    events.send(planned.events, stopSending.signal),
  ])
  sending.end()
  stopSending.abort() // from here on, Ctrl-C ends the waiting

  const [ofTransactions, ofPayments] = await confirm(waitMs, stopWaiting.signal, {
    transactions: (options) => confirmTransactions(url, transactions.ledger, options),
    payments: (options) => confirmPayments(url, events.ledger, options),
  })
  return printSummary([
    { ...parts[0], confirmation: ofTransactions },
    { ...parts[1], confirmation: ofPayments },
  ])
}

/** The first Ctrl-C stops the sending, the second one the waiting. SIGTERM stops both. */
function stopsOnSignals(): { stopSending: AbortController; stopWaiting: AbortController } {
  const stopSending = new AbortController()
  const stopWaiting = new AbortController()
  process.on('SIGINT', () => (stopSending.signal.aborted ? stopWaiting : stopSending).abort())
  process.on('SIGTERM', () => {
    stopSending.abort()
    stopWaiting.abort()
  })
  return { stopSending, stopWaiting }
}

type Confirm = (options: ConfirmOptions) => Promise<Confirmation>

/** Confirms both kinds side by side, under one line of progress. */
async function confirm(
  waitMs: number,
  signal: AbortSignal,
  kinds: { transactions: Confirm; payments: Confirm },
): Promise<[Confirmation, Confirmation]> {
  const seen = { transactions: '-', payments: '-' }
  const waiting = progressLine(
    () => `transactions processed: ${seen.transactions}  payments right: ${seen.payments}`,
  )
  const optionsOf = (kind: keyof typeof seen): ConfirmOptions => ({
    waitMs,
    signal,
    onProgress: (right, of) => {
      seen[kind] = `${right} of ${of}`
    },
  })
  const confirmations = await Promise.all([
    kinds.transactions(optionsOf('transactions')),
    kinds.payments(optionsOf('payments')),
  ])
  waiting.end()
  return confirmations
}

async function assertReachable(url: string): Promise<void> {
  try {
    await fetch(new URL('/', url), { signal: AbortSignal.timeout(5000) })
  } catch (error) {
    throw new UsageError(
      `No response from ${url} (${describeFailure(error)}). Start Sluice with "npm start", or pass its URL with --url.`,
    )
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(isUsageError(error) ? error.message : error)
  process.exitCode = 1
}
process.exit()
