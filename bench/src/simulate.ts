// `npm run simulate`: plays a processor against a running Sluice and checks that what it acknowledged gets processed.
import { parseArgs } from 'node:util'
import { localAddress, readConfig } from '@sluice/core'
import { type Confirmation, confirmProcessed } from './simulator/confirm.ts'
import { createProcessor, describeFailure, type Processor } from './simulator/processor.ts'
import { progressLine } from './simulator/progress.ts'
import { planTraffic } from './simulator/traffic.ts'
import { newRun } from './transactions.ts'

const HELP = `npm run simulate [-- options]

Plays a payment processor: posts transactions to a running Sluice, with duplicates, late and reordered deliveries,
bursts and a few contradictions, retries what is answered 503, then waits until all of its transactions are PROCESSED.

  --url URL          where Sluice's API is           from HOST and PORT
  --rate N           new transactions a second       50
  --duration S       seconds                         30
  --duplicates P     percent delivered again         15
  --conflicts P      percent contradicted            1
  --burst N          extra at once every 10 s        200
  --wait S           gives up after so long without any progress at the end   90
  --help

Exit code 1 when anything acknowledged is missing, changed, taken twice or not processed, or nothing was acknowledged.`

const PROBLEMS_SHOWN_MAX = 10

async function main(): Promise<number> {
  const { host, port } = readConfig(process.env)
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: localAddress(host, port) },
      rate: { type: 'string', default: '50' },
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
    rate: number(values.rate, 'rate', 0.1, 100_000),
    durationSeconds: number(values.duration, 'duration', 1, 86_400),
    duplicates: number(values.duplicates, 'duplicates', 0, 100) / 100,
    conflicts: number(values.conflicts, 'conflicts', 0, 100) / 100,
    burst: number(values.burst, 'burst', 0, 1_000_000),
  }
  const waitMs = number(values.wait, 'wait', 1, 86_400) * 1000
  await assertReachable(values.url)

  const deliveries = planTraffic(options, newRun())
  console.log(
    `Sending ${deliveries.length} deliveries to ${values.url} over ${options.durationSeconds} s; Ctrl-C ends it early.`,
  )
  const processor = createProcessor(values.url)
  const stopSending = new AbortController()
  const stopWaiting = new AbortController()
  process.on('SIGINT', () => (stopSending.signal.aborted ? stopWaiting : stopSending).abort())
  process.on('SIGTERM', () => {
    stopSending.abort()
    stopWaiting.abort()
  })

  const sending = progressLine(() => describeSending(processor))
  await processor.send(deliveries, stopSending.signal)
  sending.end()
  stopSending.abort() // from here on, Ctrl-C ends the waiting

  let seen = { processed: 0, of: processor.ledger.size }
  const waiting = progressLine(() => `processed ${seen.processed} of ${seen.of}`)
  const onProgress = (processed: number, of: number) => {
    seen = { processed, of }
  }
  const confirmation = await confirmProcessed(
    values.url,
    processor.ledger,
    waitMs,
    onProgress,
    stopWaiting.signal,
  )
  waiting.end()
  return summarize(processor, confirmation)
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

function describeSending({ counts, ackMs }: Processor): string {
  const { p50, p99 } = ackMs.summary()
  const { sent, accepted, duplicates, conflicts, retried, errors, inFlight } = counts
  const ms = (value: number) => (Number.isNaN(value) ? '-' : `${value.toFixed(1)} ms`)
  return `sent ${sent}  accepted ${accepted}  duplicates ${duplicates}  conflicts ${conflicts}  retried ${retried}  errors ${errors}  in flight ${inFlight}  ack p50 ${ms(p50)} p99 ${ms(p99)}`
}

function summarize(processor: Processor, { processed, problems, unprocessed }: Confirmation): number {
  const { counts, ledger } = processor
  console.log(`
Deliveries sent        ${counts.sent} (${counts.retried} of them repeated because of a 503 or no answer)
Acknowledged           ${counts.accepted}, of which ${counts.duplicates} duplicates, ${counts.conflicts} of those contradicting
Never acknowledged     ${counts.errors}${counts.errors > 0 ? ` (last: ${processor.lastError()})` : ''}
Transactions           ${ledger.size}
Processed              ${processed}
Not processed          ${unprocessed}
Wrong                  ${problems.length}`)
  for (const { id, problem } of problems.slice(0, PROBLEMS_SHOWN_MAX)) console.error(`  ${id} ${problem}`)
  if (counts.accepted === 0) {
    console.log('\nNothing was acknowledged.')
    return 1
  }
  const ok = problems.length === 0 && unprocessed === 0
  console.log(
    ok
      ? '\nEverything that was acknowledged was processed, once.'
      : '\nNot everything that was acknowledged is right.',
  )
  return ok ? 0 : 1
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
