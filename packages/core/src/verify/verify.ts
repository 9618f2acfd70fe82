// Checks all invariants in one snapshot of the database, so that it works on a running system.
import pg from 'pg'
import { invariants } from './invariants.ts'

/** An invariant that does not hold. */
export interface Violation {
  invariant: string
  /** The number of violations, and the first of them. */
  count: number
  examples: ReadonlyArray<{ id: string; problem: string }>
}

const EXAMPLES_MAX = 20

/** The violated invariants; empty for a correct database. Reads every row. */
export async function findViolations(databaseUrl: string): Promise<Violation[]> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'sluice-verify' })
  await client.connect()
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const violations: Violation[] = []
    for (const { name, sql } of invariants) {
      const { rows } = await client.query<{ id: string; problem: string; count: number }>(`
        SELECT id::text, problem, count(*) OVER ()::float8 AS count FROM (${sql}) AS broken
        ORDER BY id LIMIT ${EXAMPLES_MAX}`)
      if (rows.length === 0) continue
      const examples = rows.map(({ id, problem }) => ({ id, problem }))
      violations.push({ invariant: name, count: rows[0]!.count, examples })
    }
    return violations
  } finally {
    await client.end()
  }
}

/** A report for people: each invariant on a line, with its violations below. */
export function violationReport(violations: readonly Violation[]): string {
  const broken = new Map(violations.map((violation) => [violation.invariant, violation]))
  return invariants
    .flatMap(({ name }) => {
      const violation = broken.get(name)
      if (violation === undefined) return [`ok      ${name}`]
      const { count, examples } = violation
      const more = count > examples.length ? [`          … and ${count - examples.length} more`] : []
      return [
        `BROKEN  ${name}: ${count} violation${count === 1 ? '' : 's'}`,
        ...examples.map(({ id, problem }) => `          ${id}: ${problem}`),
        ...more,
      ]
    })
    .join('\n')
}
