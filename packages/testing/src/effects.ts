// What took effect, as the database itself tells it: every row's work ended once, and everything as the verifier wants it.
import { findViolations } from '@sluice/core'
import type { TestDatabase } from './postgres.ts'

type Queryable = Pick<TestDatabase, 'query'>

export interface Ending {
  /** A transaction's, an event's, a payment's or a refund's. */
  id: string
  times: number
}

const workTables = [
  { table: 'transactions', id: 'transaction_id', done: 'processed_at' },
  { table: 'payment_events', id: 'event_id', done: 'followed_up_at' },
  { table: 'payments', id: 'id', done: 'settled_at' },
  { table: 'refunds', id: 'id', done: 'settled_at' },
]

/** Counts, in the database itself, every time that a row's work is marked as done. */
export async function countEndings(database: Queryable): Promise<void> {
  await database.query('CREATE TABLE endings (id text PRIMARY KEY, times int NOT NULL)')
  for (const { table, id, done } of workTables) {
    await database.query(`
      CREATE FUNCTION count_ending_of_${table}() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO endings VALUES (new.${id}, 1) ON CONFLICT (id) DO UPDATE SET times = endings.times + 1;
        RETURN NULL;
      END $$`)
    await database.query(`
      CREATE TRIGGER count_endings AFTER UPDATE OF ${done} ON ${table}
      FOR EACH ROW WHEN (new.${done} IS NOT NULL) EXECUTE FUNCTION count_ending_of_${table}()`)
  }
}

export const readEndings = (database: Queryable): Promise<Ending[]> =>
  database.query('SELECT id, times FROM endings ORDER BY id')

/** How many rows have work left. */
export async function countOpen(database: Queryable): Promise<number> {
  const counts = workTables.map(
    ({ table, done }) => `(SELECT count(*)::int FROM ${table} WHERE ${done} IS NULL)`,
  )
  const [row] = await database.query<{ open: number }>(`SELECT ${counts.join(' + ')} AS open`)
  return row!.open
}

/** What is not as it should be once nothing is open: ids that ended more than once or never, and whatever the verifier finds. */
export async function findFaults(
  database: Pick<TestDatabase, 'query' | 'url'>,
  acknowledged: ReadonlySet<string>,
): Promise<string[]> {
  const endings = await readEndings(database)
  const ended = new Set(endings.map(({ id }) => id))
  return [
    ...endings.filter(({ times }) => times !== 1).map(({ id, times }) => `${id} ended ${times} times`),
    ...[...acknowledged].filter((id) => !ended.has(id)).map((id) => `${id} never ended`),
    ...(await findBroken(database.url)),
  ]
}

/** What `npm run verify` finds. */
export async function findBroken(databaseUrl: string): Promise<string[]> {
  const violations = await findViolations(databaseUrl)
  return violations.flatMap(({ invariant, examples }) =>
    examples.map(({ id, problem }) => `${invariant}; violated by ${id}: ${problem}`),
  )
}
