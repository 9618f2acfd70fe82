// Checks effects in the database: each row's work is completed once, and every invariant holds.
import { findViolations } from '@sluice/core'
import type { TestDatabase } from './postgres.ts'

type Queryable = Pick<TestDatabase, 'query'>

export interface CompletedRow {
  /** The id of a transaction, an event, a payment or a refund. */
  id: string
  times: number
}

const workTables = [
  { table: 'transactions', id: 'transaction_id', done: 'processed_at' },
  { table: 'payment_events', id: 'event_id', done: 'followed_up_at' },
  { table: 'payments', id: 'id', done: 'settled_at' },
  { table: 'refunds', id: 'id', done: 'settled_at' },
]

/** Adds triggers that count how often the work of each row is marked as done. */
export async function countCompletions(database: Queryable): Promise<void> {
  await database.query('CREATE TABLE completions (id text PRIMARY KEY, times int NOT NULL)')
  for (const { table, id, done } of workTables) {
    await database.query(`
      CREATE FUNCTION count_completion_of_${table}() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO completions VALUES (new.${id}, 1) ON CONFLICT (id) DO UPDATE SET times = completions.times + 1;
        RETURN NULL;
      END $$`)
    await database.query(`
      CREATE TRIGGER count_completions AFTER UPDATE OF ${done} ON ${table}
      FOR EACH ROW WHEN (new.${done} IS NOT NULL) EXECUTE FUNCTION count_completion_of_${table}()`)
  }
}

export const readCompletions = (database: Queryable): Promise<CompletedRow[]> =>
  database.query('SELECT id, times FROM completions ORDER BY id')

/** The number of rows with work left. */
export async function countOpen(database: Queryable): Promise<number> {
  const counts = workTables.map(
    ({ table, done }) => `(SELECT count(*)::int FROM ${table} WHERE ${done} IS NULL)`,
  )
  const [row] = await database.query<{ open: number }>(`SELECT ${counts.join(' + ')} AS open`)
  return row!.open
}

/**
 * Problems once no row has work left: ids completed more than once, acknowledged ids never completed, and violated
 * invariants.
 */
export async function findFaults(
  database: Pick<TestDatabase, 'query' | 'url'>,
  acknowledged: ReadonlySet<string>,
): Promise<string[]> {
  const completions = await readCompletions(database)
  const completed = new Set(completions.map(({ id }) => id))
  return [
    ...completions
      .filter(({ times }) => times !== 1)
      .map(({ id, times }) => `${id} was completed ${times} times`),
    ...[...acknowledged].filter((id) => !completed.has(id)).map((id) => `${id} was never completed`),
    ...(await findViolatedInvariants(database.url)),
  ]
}

/** The violations that `npm run verify` reports. */
export async function findViolatedInvariants(databaseUrl: string): Promise<string[]> {
  const violations = await findViolations(databaseUrl)
  return violations.flatMap(({ invariant, examples }) =>
    examples.map(({ id, problem }) => `${invariant}, violated by ${id}: ${problem}`),
  )
}
