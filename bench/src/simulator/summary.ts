// The simulation's report: one line while it sends, and a table with the verdict at the end.
import { formatTable } from '../report.ts'
import type { Confirmation } from './confirm.ts'
import type { Processor } from './processor.ts'

const PROBLEMS_SHOWN_MAX = 10

/** One kind of inbound events. */
export type Part = { name: string; processor: Pick<Processor<never>, 'counts' | 'ackMs' | 'lastError'> }
export type ConfirmedPart = Part & { confirmation: Confirmation }

export function describeSending(parts: readonly Part[]): string {
  const each = parts.map(({ name, processor: { counts, ackMs } }) => {
    const { p99 } = ackMs.summary()
    const ms = Number.isNaN(p99) ? '-' : `${p99.toFixed(1)} ms`
    return `${name} ${counts.accepted}/${counts.sent} ok, ${counts.duplicates} duplicates, p99 ${ms}`
  })
  const sum = (count: 'conflicts' | 'retried' | 'errors') =>
    parts.reduce((total, { processor }) => total + processor.counts[count], 0)
  return `${each.join('  ')}  ${sum('conflicts')} conflicts  ${sum('retried')} retried  ${sum('errors')} errors`
}

/** Prints the summary and returns the exit code. */
export function printSummary(parts: readonly ConfirmedPart[]): number {
  const row = (label: string, pick: (part: ConfirmedPart) => number) => [label, ...parts.map(pick)]
  const table = formatTable({
    title: 'Summary',
    columns: ['', ...parts.map(({ name }) => name)],
    rows: [
      row('Requests sent', ({ processor }) => processor.counts.sent),
      row('  retried after a 503 or without a response', ({ processor }) => processor.counts.retried),
      row('Acknowledged', ({ processor }) => processor.counts.accepted),
      row('  duplicates', ({ processor }) => processor.counts.duplicates),
      row('  of those conflicts', ({ processor }) => processor.counts.conflicts),
      row('Never acknowledged', ({ processor }) => processor.counts.errors),
      row('Transactions processed, payments right', ({ confirmation }) => confirmation.right),
      row('Not processed, or not readable', ({ confirmation }) => confirmation.open),
      row('Wrong', ({ confirmation }) => confirmation.problems.length),
    ],
  })
  console.log(table)
  for (const { name, processor } of parts)
    if (processor.counts.errors > 0) console.log(`Last refusal of ${name}: ${processor.lastError()}`)
  for (const { confirmation } of parts)
    for (const { id, problem } of confirmation.problems.slice(0, PROBLEMS_SHOWN_MAX))
      console.error(`  ${id} ${problem}`)

  const unacknowledged = parts.filter(({ processor: { counts } }) => counts.sent > 0 && counts.accepted === 0)
  const nothing = parts.every(({ processor }) => processor.counts.accepted === 0)
  if (nothing) console.log('\nNothing was acknowledged.')
  else for (const { name } of unacknowledged) console.log(`\nNone of the ${name} was acknowledged.`)
  const ok = parts.every(({ confirmation }) => confirmation.problems.length === 0 && confirmation.open === 0)
  if (!ok) console.log('\nSome acknowledged events are missing or wrong.')
  if (nothing || unacknowledged.length > 0 || !ok) return 1
  console.log(
    '\nEvery acknowledged event was accepted once: transactions are processed, payments are what their events make of them.',
  )
  return 0
}
