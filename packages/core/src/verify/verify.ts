// Checks the invariants against a database, all of them in one snapshot of it, so that a running system can be checked.
import pg from 'pg'
import { invariants } from './invariants.ts'

/** An invariant that does not hold. */
export interface Violation {
  invariant: string
  /** How many things break it, and the first of them. */
  count: number
  examples: ReadonlyArray<{ id: string; problem: string }>
}

const EXAMPLES_MAX = 20

/** What is broken; nothing in a database that is as it should be. Reads every row. */
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

/** For people: each invariant in a line, and below it what breaks it. */
export function describe(violations: readonly Violation[]): string {
  const broken = new Map(violations.map((violation) => [violation.invariant, violation]))
  return invariants
    .flatMap(({ name }) => {
      const violation = broken.get(name)
      if (violation === undefined) return [`ok      ${name}`]
      const { count, examples } = violation
      const more = count > examples.length ? [`          … and ${count - examples.length} more`] : []
      return [
        `BROKEN  ${name}: not so for ${count}`,
        ...examples.map(({ id, problem }) => `          ${id}: ${problem}`),
        ...more,
      ]
    })
    .join('\n')
}
