// What a benchmark leaves behind: aligned tables on the terminal, and a JSON file with all that explains them.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { join, relative } from 'node:path'
import { repository } from './child.ts'

type Cell = string | number
export type Table = {
  title: string
  columns: readonly string[]
  rows: readonly (readonly Cell[])[]
  notes?: readonly string[]
}

/** Text is aligned left, numbers right. */
export function formatTable({ title, columns, rows, notes = [] }: Table): string {
  const texts = rows.map((row) => row.map(formatCell))
  const widths = columns.map((column, i) =>
    Math.max(column.length, ...texts.map((row) => row[i]?.length ?? 0)),
  )
  const isNumber = columns.map((_, i) => rows.some((row) => typeof row[i] === 'number'))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd()
  return [
    '',
    title,
    line(columns),
    line(widths.map((width) => '-'.repeat(width))),
    ...texts.map(line),
    ...notes.map((note) => `  ${note}`),
  ].join('\n')
}

function formatCell(cell: Cell): string {
  if (typeof cell === 'string') return cell
  if (Number.isNaN(cell)) return '-'
  const digits = Number.isInteger(cell) || Math.abs(cell) >= 1000 ? 0 : Math.abs(cell) >= 10 ? 1 : 2
  return cell.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

export function machine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    // How busy the machine was: results of a busy machine are not worth keeping.
    loadAverage: Number(loadavg()[0]?.toFixed(2)),
    git: gitRevision(),
  }
}

function gitRevision(): string | null {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, {
        cwd: repository,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim()
    return git('rev-parse', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '-dirty')
  } catch {
    return null // no git, no clone, no commit yet
  }
}

/** Returns the file's path, relative to the current directory. */
export function writeResults(results: object, startedAt: Date): string {
  const folder = join(repository, 'bench', 'results')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${startedAt.toISOString().replaceAll(':', '-').replace(/\..*/, '')}.json`)
  writeFileSync(file, `${JSON.stringify(results, withoutUnacknowledged, 2)}\n`)
  return relative(process.cwd(), file)
}

/** Up to thousands of numbers in each load, which the ledger has already compared. */
const withoutUnacknowledged = (key: string, value: unknown) => (key === 'unacknowledged' ? undefined : value)
